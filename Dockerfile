# The gateway's image: what it needs to run, and nothing to build with. docs/docker.md says how to use it.
# tests/shipping/test_dockerfile.py runs these steps, so they stay simple: FROM, WORKDIR, COPY, RUN, ENV and the like.

FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv /opt/fairgate
COPY setup.py pyproject.toml ./
COPY server server
COPY keypool keypool
COPY web web
RUN /opt/fairgate/bin/pip install --quiet --disable-pip-version-check ".[otel]"
RUN /opt/fairgate/bin/python -P -m web.environment
RUN /opt/fairgate/bin/python -m pip uninstall --quiet --yes --disable-pip-version-check setuptools pip

FROM python:3.12-slim
COPY --from=build /opt/fairgate /opt/fairgate
# A number, not a name: so Kubernetes can see that it is not root, and a Hugging Face Space runs as this one anyway.
RUN mkdir -m 700 /data && chown 1000:1000 /data
ENV PATH=/opt/fairgate/bin:/usr/local/bin:/usr/bin:/bin HOME=/data PYTHONUNBUFFERED=1
ENV HOST=0.0.0.0 PORT=8080 STORE_URL=sqlite:////data/fairgate.db DEMO=off LOG_FORMAT=json
USER 1000:1000
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "-c", "import os, urllib.request as web; web.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/healthz', timeout=4)"]
CMD ["python", "-P", "-m", "server"]
