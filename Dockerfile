# Images of mamlbench: docker build --target cpu -t mamlbench . && docker run --rm -v "$PWD:/work" mamlbench run --algo maml
# and --target cuda for NVIDIA GPUs (docker run --gpus all ...). Records are written into the folder mounted at /work.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS base
# a compiler for the convolution kernels, git for the revision that records name
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev git \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home runner \
    && mkdir /work \
    && chown runner /work
COPY pyproject.toml README.md LICENSE /src/
COPY mamlbench /src/mamlbench
COPY plugins/mamlbench_plugins /src/plugins/mamlbench_plugins
WORKDIR /work
ENV PIP_NO_CACHE_DIR=1 MAMLBENCH_CACHE=/home/runner/cache
ENTRYPOINT ["mamlbench"]
CMD ["--help"]

# Records read and compared, nothing run: no torch.
FROM base AS reader
COPY plugins/mamlbench-reader /src/plugins/mamlbench-reader
RUN pip install "/src/plugins/mamlbench-reader[figures,pandas]"
USER runner

FROM base AS cuda
RUN pip install /src
USER runner

# The last stage is the default.
FROM base AS cpu
RUN pip install --extra-index-url https://download.pytorch.org/whl/cpu /src
USER runner
