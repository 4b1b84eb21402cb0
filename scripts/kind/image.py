"""The image: built, weighed, and brought into the kind node a layer at a time."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from scripts.kind.commands import check_going_on, output, run
from scripts.kind.settings import BASE_IMAGE, IMAGE, NODE

CODE = "/opt/job"  # the folder that the image's last layer holds
_CTR = ("ctr", "--namespace=k8s.io")
_IMPORT = ["docker", "exec", "--interactive", NODE, *_CTR, "images", "import", "--all-platforms", "-"]
_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


def build(tag: str = IMAGE) -> None:
    run("docker", "build", "--quiet", "--tag", tag, "--build-arg", f"BASE_IMAGE={BASE_IMAGE}", ".")


def weigh(tag: str = IMAGE) -> None:
    """Says the image's size, its layers' and those of the packages that take most of it."""
    size = int(output("docker", "image", "inspect", "--format", "{{.Size}}", tag))
    print(f"{tag}: {size / 1e9:.2f} GB", file=sys.stderr)
    layers = output("docker", "history", "--no-trunc", "--format", "{{.Size}}\t{{.CreatedBy}}", tag).splitlines()
    for layer in layers:
        taken, _, command = layer.partition("\t")
        if not taken.startswith("0"):
            print(f"  {taken:>9}  {' '.join(command.split())[:100]}", file=sys.stderr)
    script = "cd /opt/tench/lib/python3*/site-packages && du -sm nvidia/* * | sort -rn | head -16"
    print(output("docker", "run", "--rm", "--entrypoint", "bash", tag, "-c", script), file=sys.stderr)


def load_other(image: str) -> None:
    """Brings a small image of this machine into the node; where that is not possible, the node pulls by itself."""
    if not output("docker", "image", "ls", "--quiet", image) or _node_has(image):
        return
    try:
        _import_whole(image)
    except subprocess.CalledProcessError:  # such as one of several platforms, of which Docker has this one's
        check_going_on()
        print(f"{image} cannot be brought into the node, which will pull it", file=sys.stderr)


def load(tag: str = IMAGE) -> None:
    """Brings the image into the node. Where only the code changed, only its layer goes: seconds instead of minutes."""
    image = json.loads(output("docker", "image", "inspect", tag))[0]
    name = f"docker.io/library/{tag}"
    there = output("docker", "exec", NODE, *_CTR, "images", "ls", f"name=={name}").splitlines()[1:]
    if there and f"tench/id={image['Id']}" in there[0]:
        return
    below = _layers_in_node(there[0].split()[2]) if there else {}
    if all(layer in below for layer in image["RootFS"]["Layers"][:-1]):
        _import_code(image, name, [below[layer] for layer in image["RootFS"]["Layers"][:-1]])
    else:
        _import_whole(tag)
    run("docker", "exec", NODE, *_CTR, "images", "label", name, f"tench/id={image['Id']}")


def _node_has(image: str) -> bool:
    names = output("docker", "exec", NODE, *_CTR, "images", "ls", "--quiet").split()
    return any(name.endswith(image) for name in names)


def _layers_in_node(digest: str) -> dict[str, Mapping[str, Any]]:
    """The layers of an image that the node has: from what the image calls them to where their bytes are."""
    manifest = _document_in_node(digest)
    if "manifests" in manifest:  # one of several platforms
        manifest = _document_in_node(manifest["manifests"][0]["digest"])
    names = _document_in_node(manifest["config"]["digest"])["rootfs"]["diff_ids"]
    return dict(zip(names, manifest["layers"], strict=True))


def _document_in_node(digest: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(output("docker", "exec", NODE, *_CTR, "content", "get", digest))
    return document


def _import_whole(image: str) -> None:
    """Through a pipe: `kind load` writes the archive to the disk twice."""
    with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as save:
        subprocess.run(_IMPORT, stdin=save.stdout, stdout=subprocess.DEVNULL, check=True)
    if save.returncode:
        raise subprocess.CalledProcessError(save.returncode, save.args)


def _import_code(image: Mapping[str, Any], name: str, below: Sequence[Mapping[str, Any]]) -> None:
    """An OCI layout of the last layer alone; containerd finds the others by their digests."""
    code = _layer_of(image["Id"], CODE)
    with tempfile.TemporaryFile() as archive:
        with tarfile.open(fileobj=archive, mode="w") as target:
            last = _add_blob(target, _LAYER, code)
            config = {
                "architecture": image["Architecture"],
                "os": image["Os"],
                "config": {key: image["Config"][key] for key in ("Env", "Cmd", "User", "WorkingDir")},
                "rootfs": {"type": "layers", "diff_ids": [*image["RootFS"]["Layers"][:-1], last["digest"]]},
            }
            config_blob = _add_blob(target, _CONFIG, json.dumps(config).encode())
            layers = [*below, last]
            manifest = _add_blob(target, _MANIFEST, _document(_MANIFEST, config=config_blob, layers=layers))
            entry = {**manifest, "annotations": {"io.containerd.image.name": name}}
            _add(target, "index.json", _document(_INDEX, manifests=[entry]))
            _add(target, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        archive.seek(0)
        subprocess.run(_IMPORT, stdin=archive, stdout=subprocess.DEVNULL, check=True)


def _layer_of(image_id: str, folder: str) -> bytes:
    """A layer that holds one folder of an image, where the image has it."""
    container = output("docker", "create", image_id)
    try:
        copied = subprocess.run(["docker", "cp", f"{container}:{folder}", "-"], stdout=subprocess.PIPE, check=True)
    finally:
        output("docker", "rm", container)
    layer = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(copied.stdout)) as source, tarfile.open(fileobj=layer, mode="w") as target:
        for member in source:
            file = source.extractfile(member) if member.isfile() else None
            member.name = f"{folder.lstrip('/').rpartition('/')[0]}/{member.name}"
            target.addfile(member, file)
    return layer.getvalue()


def _document(media_type: str, **fields: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, **fields}).encode()


def _add_blob(target: tarfile.TarFile, media_type: str, data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    _add(target, f"blobs/sha256/{digest}", data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def _add(target: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    target.addfile(member, io.BytesIO(data))


if __name__ == "__main__":
    build("tench")
    weigh("tench")
