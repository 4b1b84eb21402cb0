# One image for head and workers, CPU and GPU: PyPI's torch brings its own CUDA.
#   docker build -t tench .
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BASE_IMAGE} AS dependencies
# wget: KubeRay's probes call it. libgomp1: torch.
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates libgomp1 python3 wget \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
# The second is for KubeRay's login shells, which begin with a PATH of their own.
ENV PATH=/opt/tench/bin:$PATH
RUN echo 'PATH=/opt/tench/bin:$PATH' >/etc/profile.d/tench.sh \
 && useradd --uid 1000 --user-group --create-home tench
COPY requirements/base.txt requirements/job.txt requirements/image.txt requirements/timm.txt requirements/peft.txt \
  requirements/formats.txt requirements/tables.txt /opt/requirements/
# `--build-arg EXTRAS='formats.txt tables.txt'` adds what reads HEIC and JPEG XL, and tables of Delta Lake and Iceberg.
ARG EXTRAS=
# One layer, for it has 6 GB: what makes the environment goes in the same breath, also what Python only suggests, and the
# code is not in it.
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv \
 && python3 -m venv /opt/tench \
 && cd /opt/requirements \
 && pip install --no-cache-dir --disable-pip-version-check -r base.txt -r job.txt -r image.txt -r timm.txt -r peft.txt \
  ${EXTRAS:+$(printf -- '-r %s ' $EXTRAS)} \
 && echo /opt/job >"$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/job.pth" \
 && apt-get purge --autoremove -y -o APT::AutoRemove::SuggestsImportant=false python3-venv \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*

FROM dependencies AS package
# For job/stages/jpeg, which is then built for the machine.
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends gcc libc6-dev libjpeg62-turbo-dev python3-dev
COPY pyproject.toml README.md /src/
COPY requirements /src/requirements
COPY job /src/job
COPY tench /src/tench
# Without the launcher, which .dockerignore leaves out, its command would lead nowhere.
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps --target /opt/job /src && rm -r /opt/job/bin

FROM dependencies
USER 1000:1000
WORKDIR /home/tench
# Last, so that a change of the code changes one layer.
COPY --from=package /opt/job /opt/job
CMD ["python", "-m", "job"]
