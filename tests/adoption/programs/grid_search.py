# A grid search of scikit-learn over processes of joblib, with a bar around the models and bars in the workers.
import numpy as np
from joblib import Parallel, delayed
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from tqdm import tqdm


def fit(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(60, 3)), np.arange(60) % 2
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2, n_jobs=1)
    return search.fit(x, y).best_score_


def batch(seeds):
    return [fit(seed) for seed in tqdm(seeds, desc=f"worker {seeds[0]}", unit="models")]


if __name__ == "__main__":
    scores = Parallel(n_jobs=2)(
        delayed(batch)(seeds) for seeds in tqdm([[0, 1], [2, 3]], desc="batches", unit="batches")
    )
    x, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    grid = {"C": [0.1, 1.0, 10.0], "solver": ["lbfgs", "liblinear"]}
    search = GridSearchCV(LogisticRegression(), grid, cv=3, n_jobs=2, verbose=1)
    print("best", search.fit(x, y).best_params_["C"] in grid["C"], sum(map(len, scores)))
