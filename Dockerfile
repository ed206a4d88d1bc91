# The image of userport: `make image` builds it, and docs/how-to/run-a-container.md tells how to run it.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
RUN apt-get update -qq && apt-get install -qq --no-install-recommends binutils
WORKDIR /source
COPY requirements-build.lock requirements-image.lock ./
RUN python -m venv /opt/build && python -m venv --without-pip /opt/userport \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes --requirement requirements-build.lock \
    && /opt/build/bin/pip --python /opt/userport/bin/python install --no-cache-dir --no-compile \
        --require-hashes --requirement requirements-image.lock
# Without what no program loads: sources and symbols of compiled modules, and descriptions of the services of AWS that
# userport does not call.
RUN cd /opt/userport/lib/python3*/site-packages \
    && find . -name '*.so*' -exec strip --strip-unneeded {} + \
    && find . -name '*.pyx' -delete -o -name '*.pxd' -delete -o -name '*.c' -delete -o -name '*.h' -delete \
    && find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name dynamodb ! -name sts ! -name 'sso*' -exec rm -r {} +
COPY pyproject.toml README.md LICENSE ./
COPY domain domain
COPY application application
COPY adapters adapters
COPY entrypoints entrypoints
RUN /opt/build/bin/pip wheel --no-build-isolation --no-deps --wheel-dir /wheels . \
    && /opt/build/bin/pip --python /opt/userport/bin/python install --no-compile --no-deps /wheels/*.whl \
    && mkdir /data
# The root file system may be read-only, so bytecode is made here: of what is imported, also of Python's own modules. It
# is valid for a source's time in whole seconds, since COPY rounds.
ENV PYTHONPYCACHEPREFIX=/opt/userport/pycache
RUN find /opt/userport/lib -name '*.py' -exec touch --date=@0 {} + \
    && /opt/userport/bin/python -c "import importlib, pkgutil; [importlib.import_module(module.name) \
    for name in ('domain', 'application', 'adapters', 'entrypoints') \
    for module in pkgutil.walk_packages(importlib.import_module(name).__path__, name + '.') \
    if not module.name.startswith(('adapters.storage_contract', 'adapters.sql.migrations.env'))]"

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
    PYTHONPYCACHEPREFIX=/opt/userport/pycache \
    USERPORT_AUTH=token \
    USERPORT_HOST=0.0.0.0 \
    USERPORT_PORT=8000
USER 10001:10001
# The default storage is a file in the working directory. A storage set here would collide with USERPORT_STORAGE_FILE.
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=20s CMD ["userport", "health"]
ENTRYPOINT ["userport"]
CMD ["serve"]
