"""Secrets in command lines: hidden in every spelling, and the words that are no secrets stay."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.model.text.command_line import hidden_values, hidden_words, shown_command

#: Commands as people write them; words are separated by "|", and the secret is hunter2.
HIDING = r"""
psql|postgresql://ada:hunter2@db/orders
psql|postgresql://ada:hunter2@@db/orders
psql|postgresql://ada:a/hunter2@db/orders
redis-cli|-u|redis://:hunter2@host/0
git|clone|https://oauth2:hunter2@git/x.git
git|clone|https://ghp_hunter2hunter2hunter2hunter2@github.com/x.git
pip|install|--extra-index-url|https://__token__:hunter2@pypi/simple
curl|-x|https://u:hunter2@proxy:12/|http://127.0.0.1:1/
curl|https://x/y?access_token=hunter2&page=3
curl|-H|Authorization: Bearer hunter2
curl|-H|authorization: hunter2 hunter2
curl|-HAuthorization: Basic hunter2
curl|-H|X-Api-Key: hunter2
curl|--header=PRIVATE-TOKEN: hunter2
curl|-H|Cookie: session=hunter2; b=hunter2
curl|--cookie|session=hunter2
curl|-u|ada:hunter2|http://x
curl|-uada:hunter2|http://x
curl|--user=ada:hunter2|http://x
curl|--proxy-user|ada:hunter2
curl|--oauth2-bearer|hunter2
curl|-d|{"user": "ada", "password": "hunter2", "n": 1}
curl|-d|grant=x&client_secret=hunter2&n=1
http|-a|ada:hunter2|x
http|POST|x|Authorization:Bearer hunter2
prog|--password|hunter2
prog|--password=hunter2
prog|--password=hunter2 hunter2
prog|--password|-hunter2
prog|--password|--api-key|hunter2
prog|-password|hunter2
prog|--Password|hunter2
prog|--db-password|hunter2
prog|--db_password|hunter2
prog|--dbPassword=hunter2
prog|--db.password=hunter2
prog|--DB_PASSWORD|hunter2
prog|/password:hunter2
prog|--access-token:hunter2
prog|--passwd|hunter2
prog|--dbpass|hunter2
prog|--dbpwd|hunter2
prog|--userpass|ada:hunter2
prog|--requirepass|hunter2
prog|--adminpw|hunter2
env|SSHPASS=hunter2
prog|--url|jdbc:oracle:thin:scott/hunter2@h:1521
curl|https://x/?q=1&key=hunter2
ansible-playbook|--extra-vars|{"db_password": "hunter2"}
terraform|apply|-var=db_password=hunter2
env|ENCRYPTION_KEY=hunter2
prog|--pass|hunter2
prog|--pw|hunter2
prog|--pwd|hunter2
prog|--passphrase|hunter2
prog|--passcode|hunter2
prog|--pin|hunter2
prog|--otp|hunter2
prog|--pat|hunter2
prog|--jwt|hunter2
prog|--bearer|hunter2
prog|--token|hunter2
prog|-token|hunter2
prog|--auth|ada:hunter2
prog|--auth=ada:hunter2
prog|--basic-auth|ada:hunter2
prog|--authorization|Bearer hunter2
prog|--credentials|ada/hunter2
prog|--creds|hunter2
prog|--secret|hunter2
prog|--client-secret|hunter2
prog|--secret-id|hunter2
prog|--api-key|hunter2
prog|--apikey|hunter2
prog|--apiKey=hunter2
prog|--private-key|hunter2
prog|--access-key|hunter2
prog|--secret-key|hunter2
prog|--signing-key|hunter2
prog|--encryption-key|hunter2
prog|--license-key|hunter2
prog|--ssh-key|hunter2
prog|--sas|hunter2
prog|--signature|hunter2
prog|--connection-string|AccountName=x;AccountKey=hunter2
prog|--dsn=Server=db;Uid=ada;Pwd=hunter2;Database=x
psql|host=db user=ada password=hunter2 dbname=x
psql|host=db password='hunter2 hunter2' dbname=x
env|PGPASSWORD=hunter2|psql
env|AWS_SECRET_ACCESS_KEY=hunter2
env|GITHUB_TOKEN=hunter2
env|TOKEN_OF_GITHUB=hunter2
env|DATABASE_URL=postgres://u:hunter2@h/x|prog
docker|run|-e|MYSQL_ROOT_PASSWORD=hunter2|image
docker|run|--env=API_TOKEN=hunter2|image
docker|login|-u|ada|-p|hunter2
java|-Djavax.net.ssl.keyStorePassword=hunter2|-jar|x.jar
java|-Dspring.datasource.password=hunter2
helm|--set|db.auth.password=hunter2,db.user=x
kubectl|create|secret|generic|x|--from-literal=a=hunter2
aws|configure|set|aws_secret_access_key|hunter2
git|-c|http.extraheader=AUTHORIZATION: basic hunter2|clone
vault|login|hunter2
openssl|enc|-pass|pass:hunter2
snowsql|-o|private_key_passphrase=hunter2
mysql|-phunter2
mysqldump|-u|root|-phunter2|orders
sudo|/usr/bin/mysql|-phunter2
sshpass|-phunter2|ssh|x
sshpass|-p|hunter2|ssh|x
redis-cli|-a|hunter2
ldapsearch|-w|hunter2
mongosh|-u|ada|-p|hunter2
sqlcmd|-U|sa|-P|hunter2
7z|a|-phunter2|x.7z
smbclient|-U|ada%hunter2|//x
sqlplus|scott/hunter2@db
sh|-c|mysql -u root -phunter2 -e 'select 1'
sh|-c|curl -H "Authorization: Basic hunter2" https://x/y; echo --password hunter2 done
sh|-c|PGPASSWORD='hunter2 hunter2' psql -h db
ssh|host|sh -c "prog --token 'hunter2 hunter2' --verbose"
python|-c|import os; os.environ["API_KEY"]="hunter2"; run(password='hunter2', n=1)
python|-c|os.environ['TOKEN'] = 'hunter2'
prog|--key-data|-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----
prog|-v|sk-hunter2hunter2hunter2hunter2
prog|-v|eyJhbGciOiJI.eyJodW50ZXIy.hunter2
""".strip().split("\n")

#: Commands without a secret.
PLAIN = r"""
train.py|--key|id|--lr|0.1|--pretrained|x|--path|/a:b
train.py|--max-tokens|100|--token-limit|5|--tokenizer|gpt2|--num_tokens=3
train.py|--bypass|x|--lowpass|440|--compass=n|--npass|3
train.py|--pin-memory|--session-name|x|--author|ada|--authors=ada
prog|--password-file|/x|--no-password|--ask-pass|--password-stdin|--token-type|jwt
prog|--auth-mode|basic|--auth-url=https://x|--secret-name|x|--cookie-jar|x
sort|--key=2|-k|1|-t|:
make|-j4|PREFIX=/usr|CC=gcc
curl|http://host:8080/path?email=a@b.c
curl|https://host/a:b/c@d
docker|run|-u|1000:1000|-p|8080:80|-v|/a:/b|image
ssh|-p|22|ada@host
git|clone|ssh://git@github.com/x.git
git|clone|git@github.com:x/y.git
rsync|-a|ada@host:/x|/y
mysql|-u|root|-p|orders
python|-c|print("a: b", {"key": 1})
cp|-p|a|b
tar|-xpf|x.tar
""".strip().split("\n")


@pytest.mark.parametrize("line", HIDING)
def test_a_secret_is_not_shown(line: str) -> None:
    words = line.replace(r"\n", "\n").split("|")
    shown = shown_command(words)
    assert "hunter2" not in shown
    assert "…" in shown
    assert len(words) == len(list(hidden_words(words)))


@pytest.mark.parametrize("line", PLAIN)
def test_what_is_no_secret_is_shown(line: str) -> None:
    words = line.split("|")
    assert words == list(hidden_words(words))


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["psql", "postgresql://ada:x@db/orders"], "psql postgresql://ada:…@db/orders"),
        (["curl", "-H", "Authorization: Bearer x"], "curl -H 'Authorization: Bearer …'"),
        (["curl", "https://x/?token=x&page=3"], "curl 'https://x/?token=…&page=3'"),
        (["curl", "-d", '{"password": "x", "n": 1}'], """curl -d '{"password": "…", "n": 1}'"""),
        (["prog", "--password", "x", "--n", "1"], "prog --password … --n 1"),
        (["prog", "--password=", "--n", "1"], "prog --password= --n 1"),
        (["env", "TOKEN=a b", "prog"], "env TOKEN=… prog"),
        (["helm", "--set", "a.user=y,a.password=x,b=z"], "helm --set a.user=y,a.password=…,b=z"),
        (["sh", "-c", "mysql -px  -e 'a b'; ls"], """sh -c 'mysql -p…  -e '"'"'a b'"'"'; ls'"""),
        (["sh", "-c", "prog --token 'x y' z"], """sh -c 'prog --token '"'"'…'"'"' z'"""),
    ],
)
def test_all_but_the_secret_stays(words: list[str], shown: str) -> None:
    assert shown == shown_command(words)


def test_the_values_that_are_hidden_are_known() -> None:
    words = ["sh", "-c", "mysql -phunter2 --token 'a b c'; prog --pw abc", "--user=ada:swordfish"]
    assert {"hunter2", "a b c", "swordfish"} == hidden_values(words)


def test_a_command_of_megabytes_is_read_in_its_time() -> None:
    for text in ("x", "a ", "password=", "https://", '"', "'\\", "-----BEGIN PRIVATE KEY-----", "a: "):
        assert len(list(hidden_words(["prog", text * (400_000 // len(text))]))) == 2


@given(st.lists(st.text(st.sampled_from("ab-=:/@'\" \\pwd…"), max_size=30), max_size=6))
def test_any_words_are_shown_one_for_one(words: list[str]) -> None:
    assert len(words) == len(list(hidden_words(words)))
    assert all(re.sub("…", "", value) != "" for value in hidden_values(words))
