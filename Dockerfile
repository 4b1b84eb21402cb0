# One image for head and workers, CPU and GPU: PyPI's torch brings its own CUDA.
#   docker build -t tench .
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BASE_IMAGE} AS base
# wget: KubeRay's probes call it. libgomp1: torch.
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates libgomp1 python3 wget \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
# The second is for KubeRay's login shells, which begin with a PATH of their own.
ENV PATH=/opt/tench/bin:$PATH
RUN echo 'PATH=/opt/tench/bin:$PATH' >/etc/profile.d/tench.sh \
 && useradd --uid 1000 --user-group --create-home tench

FROM base AS build
ARG PIP_INDEX_URL
ARG PIP_CERT
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv \
 && python3 -m venv /opt/tench
COPY requirements/base.txt requirements/job.txt requirements/image.txt /src/requirements/
RUN cd /src/requirements && pip install --no-cache-dir --disable-pip-version-check -r base.txt -r job.txt -r image.txt
# The package in a folder of its own, and so in a small layer; without the launcher, its command would lead nowhere.
COPY pyproject.toml README.md /src/
COPY requirements /src/requirements
COPY job /src/job
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps --target /opt/job /src && rm -r /opt/job/bin

FROM base
COPY --from=build /opt/tench /opt/tench
RUN echo /opt/job >"$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/job.pth"
COPY --from=build /opt/job /opt/job
USER 1000:1000
WORKDIR /home/tench
CMD ["python", "-m", "job"]
