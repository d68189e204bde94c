# docker build --target service --build-arg SERVICE=svm -t marquee-svm .   (`make images` builds all of them)
# Python 3.11.16 for every architecture. docs/security.md says how to move it, and how to build on another base.
ARG BASE=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${BASE} AS base
ENV PYTHONPATH=/opt/packages PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

FROM base AS root
COPY deploy/images/root.py ./
RUN python root.py /root-of-servers

FROM base AS build
# Another index of packages: --build-arg PIP_INDEX_URL=…
ARG PIP_INDEX_URL
WORKDIR /build
COPY deploy/images/packages deploy/images/slim ./

FROM build AS local-packages
COPY requirements/local.txt ./
RUN ./packages local.txt

# A new database, which takes a shell to make; PostgreSQL itself takes none.
FROM local-packages AS local-database
COPY local/__init__.py local/child.py local/postgres.py local/
RUN python -m local.postgres --initdb database

# Python and what it loads: no shell, no package manager, nothing setuid, and no layer below that had them.
FROM scratch AS server
COPY --from=root /root-of-servers /
ENV PATH=/usr/local/bin:/usr/bin LANG=C.UTF-8 SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Marquee" \
      org.opencontainers.image.source="https://github.com/marquee-project/marquee" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# /tmp is the one folder that is written to; mount a volume there if the root is read-only.
ENV PYTHONPATH=/opt/packages:/app HOME=/tmp MARQUEE_HOST=0.0.0.0 MARQUEE_LOG_FORMAT=json \
    MARQUEE_VERSION=${VERSION} MARQUEE_REVISION=${REVISION}
WORKDIR /app
USER 65532:65532
# gRPC, metrics and health; the page has 8080 instead of the first and the last.
EXPOSE 50051 9464 9465 8080

# Stand-ins for S3, Rekognition and TensorFlow Serving, the demo's models and pictures, and the client.
FROM server AS local
COPY --from=local-packages /opt/packages /opt/packages
COPY marquee marquee
COPY services services
COPY local local
COPY models models
COPY --from=local-database --chown=65532:65532 /build/database database
ENV MARQUEE_LOCAL_POSTGRES=/app/database
USER root
RUN ["python", "-m", "local.pictures", "demo", "/app/pictures"]
RUN ["python", "-m", "local.pictures", "gallery", "/app/gallery"]
USER 65532:65532
ENTRYPOINT ["python", "-m"]

# A service. It comes last, since Docker's legacy builder builds every stage before its target.
FROM build AS service-packages
ARG SERVICE
ARG PACKAGES=${SERVICE}
COPY requirements/${PACKAGES}.txt ./
RUN ./packages ${PACKAGES}.txt

FROM server AS service
ARG SERVICE
ENV SERVICE=${SERVICE}
COPY --from=service-packages /opt/packages /opt/packages
COPY marquee/v1 marquee/v1
COPY marquee/library marquee/library
COPY services/__main__.py services/__main__.py
COPY services/runtime services/runtime
COPY services/${SERVICE} services/${SERVICE}
ENTRYPOINT ["python", "-m", "services"]
