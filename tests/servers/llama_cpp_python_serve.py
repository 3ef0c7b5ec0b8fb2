"""``python llama_cpp_python_serve.py FOLDER FILE PORT``: its server with a model of this project.

It runs in the environment that ``make llama-cpp-python`` makes, until it is stopped.
"""

import sys
from pathlib import Path

import uvicorn
from bundled_gguf import write_gguf
from llama_cpp.server.app import create_app
from llama_cpp.server.settings import ModelSettings, ServerSettings

CONTEXT = 512  # in tokens


def main(folder: Path, file: Path, port: int) -> None:
    """Write the model as GGUF and serve it under its folder's name."""
    write_gguf(folder, file)
    model = ModelSettings(
        model=str(file),
        model_alias=folder.name,
        n_ctx=CONTEXT,
        n_threads=1,
        logits_all=True,  # it gives no log-probs otherwise
        verbose=False,
    )
    app = create_app(server_settings=ServerSettings(port=port), model_settings=[model])
    uvicorn.run(app, port=port)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
