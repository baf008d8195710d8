# pandas with progress_apply.
import pandas as pd
from tqdm import tqdm

tqdm.pandas(desc="rows")
frame = pd.DataFrame({"a": range(500), "g": [i % 5 for i in range(500)]})
doubled = frame["a"].progress_apply(lambda x: 2 * x)
groups = frame.groupby("g")["a"].progress_apply(lambda part: part.sum())
print(int(doubled.sum()), int(groups.sum()))
