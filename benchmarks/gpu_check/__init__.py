"""The first minutes on a machine with a GPU: whether everything works there, how accurate and how fast.

Four stages, each of steps, each of points that are measured one after another in a process of their own, under a time
limit. Every point is a line of JSON as soon as it is known; the next call goes on where the lines end.

On a machine without network Python needs, beyond torch with Triton and pytorch-lightning: hydra-core, omegaconf and
antlr4-python3-runtime; mlflow with mlflow-skinny and mlflow-tracing and all that these need (alembic, cachetools,
databricks-sdk, docker, Flask, flask-cors, GitPython, graphene, gunicorn, huey, opentelemetry-api, -sdk and -proto,
pandas, pyarrow, pydantic, python-dotenv, scikit-learn, skops, SQLAlchemy, sqlparse, …); mlxtend, optuna, matplotlib,
scipy, jinja2, fastapi, starlette, uvicorn, h11, pillow, psutil, PyYAML, threadpoolctl, tqdm; for the tests pytest
and hypothesis. `versions`, the first step, names what is missing. Accuracy is measured on the four IDX files of MNIST.
"""
