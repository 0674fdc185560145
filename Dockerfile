# docker build --target cpu -t abaw .        docker run --rm -v "$PWD:/work" abaw predict-video clip.mp4
# docker build --target cuda -t abaw:cuda .  docker run --rm --gpus all -v "$PWD:/work" abaw:cuda doctor
# The CPU image is smaller with PyTorch's own CPU wheels: --build-arg TORCH_INDEX=ADDRESS (PyTorch, "Get Started").
ARG PYTHON=3.11
FROM python:${PYTHON}-slim AS wheel
WORKDIR /src
COPY pyproject.toml setup.py README.md LICENSE ./
COPY abaw ./abaw
COPY pipelines ./pipelines
COPY data_manifests ./data_manifests
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON}-slim AS base
RUN useradd --create-home --uid 1000 abaw && mkdir /work && chown abaw /work
COPY --from=wheel /wheels /wheels
ENV PYTHONUNBUFFERED=1

FROM base AS cuda
RUN pip install --no-cache-dir "$(echo /wheels/abaw-*.whl)[live]" \
    && pip uninstall --yes onnxruntime opencv-python opencv-python-headless \
    && pip install --no-cache-dir --no-deps --force-reinstall opencv-python-headless \
    && pip install --no-cache-dir "onnxruntime-gpu[cuda,cudnn]"
USER abaw
WORKDIR /work
ENTRYPOINT ["abaw"]

FROM base AS cpu
ARG TORCH_INDEX=
RUN if [ -n "$TORCH_INDEX" ]; then pip install --no-cache-dir --index-url "$TORCH_INDEX" torch torchvision; fi \
    && pip install --no-cache-dir "$(echo /wheels/abaw-*.whl)[live]" \
    && abaw doctor --fix
USER abaw
WORKDIR /work
ENTRYPOINT ["abaw"]
