# A target a service: docker build --target svm -t marquee-svm .   (`make images` builds all of them)
ARG BASE=python:3.11-slim-bookworm
ARG BASE_DIGEST=""

FROM ${BASE}${BASE_DIGEST:+@${BASE_DIGEST}} AS base
ENV PYTHONPATH=/opt/packages PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

FROM base AS build
WORKDIR /build
COPY deploy/images/packages deploy/images/slim ./

FROM build AS gateway-packages
COPY requirements/gateway.txt ./
RUN ./packages gateway.txt

FROM build AS rekognition-packages
COPY requirements/rekognition.txt ./
RUN ./packages rekognition.txt

FROM build AS keras-packages
COPY requirements/keras.txt ./
RUN ./packages keras.txt

FROM build AS svm-packages
COPY requirements/svm.txt ./
RUN ./packages svm.txt

FROM build AS local-packages
COPY requirements/local.txt ./
RUN ./packages local.txt

FROM base AS server
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Marquee" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# /tmp is the one folder that is written to; mount a volume there where the root is read-only.
ENV PYTHONPATH=/opt/packages:/app HOME=/tmp MARQUEE_HOST=0.0.0.0 MARQUEE_LOG_FORMAT=json
WORKDIR /app
USER 65532:65532
EXPOSE 50051 9464

FROM server AS gateway
COPY --from=gateway-packages /opt/packages /opt/packages
COPY marquee/v1 marquee/v1
COPY services/runtime services/runtime
COPY services/gateway services/gateway
ENTRYPOINT ["python", "-m", "services.gateway"]

FROM server AS rekognition
COPY --from=rekognition-packages /opt/packages /opt/packages
COPY marquee/v1 marquee/v1
COPY services/runtime services/runtime
COPY services/rekognition services/rekognition
ENTRYPOINT ["python", "-m", "services.rekognition"]

FROM server AS keras
COPY --from=keras-packages /opt/packages /opt/packages
COPY marquee/v1 marquee/v1
COPY services/runtime services/runtime
COPY services/keras services/keras
ENTRYPOINT ["python", "-m", "services.keras"]

FROM server AS svm
COPY --from=svm-packages /opt/packages /opt/packages
COPY marquee/v1 marquee/v1
COPY services/runtime services/runtime
COPY services/svm services/svm
ENTRYPOINT ["python", "-m", "services.svm"]

# Stand-ins for S3, Rekognition and TensorFlow Serving, the demo's models and pictures, and the client.
FROM server AS local
COPY --from=local-packages /opt/packages /opt/packages
COPY marquee marquee
COPY services services
COPY local local
COPY models models
USER root
RUN python -m local.pictures demo /app/pictures && python -m local.pictures gallery /app/gallery
USER 65532:65532
ENTRYPOINT ["python", "-m"]
