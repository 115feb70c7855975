"""Another tool on the same photographs: ``PYTHON others.py kaiko-eva|thingsvision|transformers FOLDER``.

PYTHON is an interpreter that has the tool; this file imports nothing of fixgrid. Each is used as its own
documentation shows, with its defaults, and prints JSON: seconds per image after everything is loaded.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

TRUNK = "tf_efficientnet_lite0"  # weights do not change the time: random ones need no download
SIDE_PX = 224


def run_kaiko_eva(folder: Path) -> float:
    """``eva predict``: its timm wrapper, resize and crop, and writer of embeddings."""
    import torch
    from eva import Interface
    from eva.core.callbacks import ClassificationEmbeddingsWriter
    from eva.core.data.dataloaders import DataLoader
    from eva.core.data.datamodules import DataModule
    from eva.core.data.datamodules.schemas import DataloadersSchema, DatasetsSchema
    from eva.core.models.modules import InferenceModule
    from eva.core.trainers import Trainer
    from eva.vision.data.transforms.common import ResizeAndCrop
    from eva.vision.models.wrappers import TimmModel
    from PIL import Image
    from torchvision import tv_tensors
    from torchvision.transforms.v2.functional import pil_to_tensor

    files = list_files(folder)

    class Photos(torch.utils.data.Dataset):
        def __len__(self):
            return len(files)

        def __getitem__(self, index):
            image = tv_tensors.Image(pil_to_tensor(Image.open(files[index]).convert("RGB")))
            return transform(image), torch.tensor(0), {}

        def filename(self, index):
            return str(files[index].relative_to(folder))

    transform = ResizeAndCrop(size=SIDE_PX)
    with tempfile.TemporaryDirectory() as out:
        network = TimmModel(TRUNK, pretrained=False)
        writer = ClassificationEmbeddingsWriter(
            out, backbone=None, dataloader_idx_map={0: "test"}, metadata_keys=[]
        )
        trainer = Trainer(
            accelerator="cpu", default_root_dir=out, callbacks=[writer], logger=False, enable_progress_bar=False
        )
        data = DataModule(
            datasets=DatasetsSchema(predict=[Photos()]),
            dataloaders=DataloadersSchema(predict=DataLoader(batch_size=16, num_workers=os.cpu_count())),
        )
        began = time.perf_counter()
        Interface().predict(trainer, InferenceModule(network), data)
        return (time.perf_counter() - began) / len(files)


def run_thingsvision(folder: Path) -> float:
    """Its extractor of timm models and its loader of image folders."""
    from thingsvision import get_extractor
    from thingsvision.utils.data import DataLoader, ImageDataset

    with tempfile.TemporaryDirectory() as out:
        extractor = get_extractor(model_name=TRUNK, source="timm", device="cpu", pretrained=False)
        photos = ImageDataset(
            root=str(folder),
            out_path=out,
            backend=extractor.get_backend(),
            transforms=extractor.get_transformations(resize_dim=256, crop_dim=SIDE_PX),
        )
        batches = DataLoader(dataset=photos, batch_size=16, backend=extractor.get_backend())
        began = time.perf_counter()
        features = extractor.extract_features(batches=batches, module_name="global_pool", flatten_acts=True)
        return (time.perf_counter() - began) / len(features)


def run_transformers(folder: Path) -> float:
    """The image-feature-extraction pipeline with its wrapper of timm models."""
    import timm
    from transformers import TimmWrapperConfig, TimmWrapperImageProcessor, TimmWrapperModel, pipeline

    facts = timm.create_model(TRUNK, pretrained=False).pretrained_cfg
    config = TimmWrapperConfig.from_dict({"architecture": TRUNK, "num_classes": 0, "pretrained_cfg": facts})
    processor = TimmWrapperImageProcessor(pretrained_cfg=facts)
    extract = pipeline("image-feature-extraction", model=TimmWrapperModel(config).eval(), image_processor=processor)
    files = [str(file) for file in list_files(folder)]
    began = time.perf_counter()
    features = extract(files, batch_size=16, pool=True)
    return (time.perf_counter() - began) / len(features)


def list_files(folder: Path) -> list[Path]:
    """Every JPEG under a folder, sorted."""
    return sorted(folder.rglob("*.jpg"))


TOOLS = {"kaiko-eva": run_kaiko_eva, "thingsvision": run_thingsvision, "transformers": run_transformers}


if __name__ == "__main__":
    tool, photos = sys.argv[1:]
    print(json.dumps({"image_s": TOOLS[tool](Path(photos))}))
