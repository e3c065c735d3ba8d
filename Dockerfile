# The study for the nodes of a Ray cluster in containers, head and workers alike; see
# docs/KUBERNETES.md. About 8 GB, nearly all of it torch with CUDA; the driver is the machine's.
#
#   docker build --tag REGISTRY/transfer-study:0.1.0 .

# The same Python as on all other nodes, see deploy/set_up_node.sh.
FROM python:3.11.18-slim-bookworm AS packages
COPY requirements.lock /
# An environment without pip: what installs does not come along. Nothing is built, which would need
# a compiler. Byte code is made here, since at run time nobody may write it, and each process would
# compile torch and Ray again.
RUN python -m venv --without-pip /opt/study-env && \
    python -m pip --python /opt/study-env/bin/python install --no-cache-dir \
    --disable-pip-version-check --only-binary :all: --require-hashes --requirement /requirements.lock

FROM python:3.11.18-slim-bookworm
# Whoever breaks out of a trial is nobody on the node; the number is what Kubernetes can check.
RUN useradd --uid 1000 --create-home study
COPY --from=packages /opt/study-env /opt/study-env
COPY search_spaces /opt/study/search_spaces
COPY trainables /opt/study/trainables
COPY orchestrator /opt/study/orchestrator
COPY transfer_study /opt/study/transfer_study
RUN python -m compileall -q /opt/study
# NVIDIA_DRIVER_CAPABILITIES: what the container is given of the driver where it is given a GPU. Not
# NVIDIA_VISIBLE_DEVICES, which would give it all GPUs of the node, asked for or not.
ENV PATH=/opt/study-env/bin:$PATH \
    PYTHONPATH=/opt/study \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000
WORKDIR /home/study
CMD ["python", "-m", "orchestrator.study", "--help"]
