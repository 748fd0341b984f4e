# Build the wheel apart, so that the image holds no build tools and no sources.
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.13-slim
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir /wheels/*.whl && rm -rf /wheels \
    && useradd --create-home --home-dir /gateway gateway \
    && install -d -o gateway /gateway/var
USER gateway
WORKDIR /gateway

# The admin port stays on the container's loopback; GATEWAY_ADMIN=0.0.0.0:9180 opens it, with GATEWAY_ADMIN_TOKEN.
ENV GATEWAY_LISTEN=0.0.0.0:8080 PYTHONUNBUFFERED=1
EXPOSE 8080
VOLUME /gateway/var
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/-/readyz', timeout=2)"]

# docker run -p 8080:8080 -v ./config.yaml:/gateway/config.yaml:ro -v gateway-var:/gateway/var gateway
# No config is built in: the repository's own holds a public key.
ENTRYPOINT ["gateway"]
CMD ["serve", "--config", "config.yaml"]
