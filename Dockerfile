# docker build -t recurrent-cells . && docker run --rm -v "$PWD/mlruns:/recurrent-cells/mlruns" recurrent-cells make sweep
FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
WORKDIR /recurrent-cells
COPY . .
RUN make install
CMD ["make", "help"]
