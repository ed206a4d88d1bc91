# The image of userport: `make image` builds it, and docs/how-to/run-a-container.md tells how to run it.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /source
COPY requirements-image.lock ./
RUN python -m venv --without-pip /opt/userport \
    && python -m pip --python /opt/userport/bin/python install --no-cache-dir --require-hashes --requirement requirements-image.lock
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY domain domain
COPY application application
COPY adapters adapters
COPY entrypoints entrypoints
RUN /opt/build/bin/pip wheel --no-cache-dir --no-build-isolation --no-deps --wheel-dir /wheels . \
    && python -m pip --python /opt/userport/bin/python install --no-cache-dir --no-deps /wheels/*.whl \
    && mkdir /data
# Sources of compiled modules, and what describes the services of AWS that userport does not call.
RUN cd /opt/userport/lib/python3*/site-packages \
    && find . -name '*.pyx' -delete -o -name '*.pxd' -delete -o -name '*.c' -delete -o -name '*.h' -delete \
    && find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name dynamodb ! -name sts ! -name 'sso*' -exec rm -r {} +

FROM ${BASE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="userport" \
      org.opencontainers.image.description="A user service whose storage is one URL" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/userport /opt/userport
COPY --from=build --chown=10001:10001 /data /data
ENV PATH=/opt/userport/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    USERPORT_AUTH=token \
    USERPORT_HOST=0.0.0.0 \
    USERPORT_PORT=8000 \
    USERPORT_STORAGE=sqlite:////data/userport.db
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=20s CMD ["userport", "health"]
ENTRYPOINT ["userport"]
CMD ["serve"]
