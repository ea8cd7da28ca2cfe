"""The data sets that have a name, as values. Checksums are the publishers' (md5)."""

from __future__ import annotations

from holdfast.data import class_names
from holdfast.data.registry import Download, Layout, PublishedFile, Source

__all__ = ["SOURCES"]

TRAIN_TEST = ("train", "test")

IDX_FILES = (
    ("train", ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")),
    ("test", ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")),
)


def _idx_layouts(folders: tuple[str, ...], md5: dict[str, str]) -> tuple[Layout, ...]:
    """Each folder, with the files gzipped (as they are fetched) and as they are."""

    def splits(suffix: str) -> tuple[tuple[str, tuple[PublishedFile, ...]], ...]:
        named = ((split, tuple(name + suffix for name in names)) for split, names in IDX_FILES)
        return tuple((split, tuple(PublishedFile(name, md5.get(name)) for name in names)) for split, names in named)

    return tuple(Layout(folder, "idx", splits(suffix)) for folder in folders for suffix in (".gz", ""))


def _idx_downloads(folder: str, bases: tuple[str, ...], md5: dict[str, str]) -> tuple[Download, ...]:
    packed = [name for name in md5 if name.endswith(".gz")]
    return tuple(Download(name, md5[name], tuple(base + name for base in bases), folder) for name in packed)


def _image_layouts(folders: tuple[str, ...], reader: str) -> tuple[Layout, ...]:
    return tuple(Layout(folder, reader, tuple((split, ()) for split in TRAIN_TEST)) for folder in folders)


def _toronto(file: str, md5: str) -> Download:
    return Download(file, md5, (f"https://www.cs.toronto.edu/~kriz/{file}",), packed=True)


_MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}

_FASHION_MD5 = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}

_CIFAR10_PYTHON = (
    (
        "train",
        (
            PublishedFile("data_batch_1", "c99cafc152244af753f735de768cd75f"),
            PublishedFile("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
            PublishedFile("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
            PublishedFile("data_batch_4", "634d18415352ddfa80567beed471001a"),
            PublishedFile("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
        ),
    ),
    ("test", (PublishedFile("test_batch", "40351d587109b95175f43aff81a1287e"),)),
)

_CIFAR10_BINARY = (
    ("train", tuple(PublishedFile(f"data_batch_{k}.bin") for k in range(1, 6))),
    ("test", (PublishedFile("test_batch.bin"),)),
)

_CIFAR100_PYTHON = (
    ("train", (PublishedFile("train", "16019d7e3df5f24257cddd939b257f8d"),)),
    ("test", (PublishedFile("test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),)),
)

_CIFAR100_BINARY = (
    ("train", (PublishedFile("train.bin"),)),
    ("test", (PublishedFile("test.bin"),)),
)

_SVHN_MD5 = {
    "train": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test": "eb5a983be6a315427106f1b164d9cef3",
    "extra": "a93ce644f1a588dc4d68dda5feec44a7",
}

_SVHN_FILES = tuple((split, (PublishedFile(f"{split}_32x32.mat", md5),)) for split, md5 in _SVHN_MD5.items())

DIGITS = Source(
    name="digits",
    description="handwritten digits of the UCI repository, part of holdfast: first 1297 train, last 500 test",
    shape=(1, 8, 8),
    num_classes=10,
    classes=class_names.DIGITS,
    splits=TRAIN_TEST,
    licence="CC BY 4.0",
    citation="Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998, doi:10.24432/C50P49",
)

MNIST = Source(
    name="mnist",
    description="handwritten digits, 60 000 train and 10 000 test",
    shape=(1, 28, 28),
    num_classes=10,
    classes=class_names.DIGITS,
    splits=TRAIN_TEST,
    licence="CC BY-SA 3.0",
    citation="LeCun, Cortes, Burges, The MNIST database of handwritten digits, 1998",
    layouts=_idx_layouts(("mnist", "MNIST/raw"), _MNIST_MD5),
    downloads=_idx_downloads(
        "mnist",
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        _MNIST_MD5,
    ),
)

FASHION_MNIST = Source(
    name="fashion-mnist",
    description="pieces of clothing, 60 000 train and 10 000 test",
    shape=(1, 28, 28),
    num_classes=10,
    classes=class_names.FASHION_MNIST,
    splits=TRAIN_TEST,
    licence="MIT",
    citation="Xiao, Rasul, Vollgraf, Fashion-MNIST, arXiv:1708.07747, 2017",
    layouts=_idx_layouts(("fashion-mnist", "fashion_mnist", "FashionMNIST/raw"), _FASHION_MD5),
    downloads=_idx_downloads(
        "fashion-mnist",
        (
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        _FASHION_MD5,
    ),
)

CIFAR10 = Source(
    name="cifar10",
    description="colour photographs in 10 classes, 50 000 train and 10 000 test",
    shape=(3, 32, 32),
    num_classes=10,
    classes=class_names.CIFAR10,
    splits=TRAIN_TEST,
    licence="none declared; cite the report",
    citation="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    layouts=(
        Layout("cifar-10-batches-py", "cifar10-python", _CIFAR10_PYTHON),
        Layout("cifar-10-batches-bin", "cifar10-binary", _CIFAR10_BINARY),
    ),
    downloads=(_toronto("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),),
)

CIFAR100 = Source(
    name="cifar100",
    description="colour photographs in 100 classes (the fine labels), 50 000 train and 10 000 test",
    shape=(3, 32, 32),
    num_classes=100,
    classes=class_names.CIFAR100,
    splits=TRAIN_TEST,
    licence="none declared; cite the report",
    citation="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    layouts=(
        Layout("cifar-100-python", "cifar100-python", _CIFAR100_PYTHON),
        Layout("cifar-100-binary", "cifar100-binary", _CIFAR100_BINARY),
    ),
    downloads=(_toronto("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"),),
)

SVHN = Source(
    name="svhn",
    description="house numbers, 73 257 train and 26 032 test; the 531 131 extra ones are read, not fetched",
    shape=(3, 32, 32),
    num_classes=10,
    classes=class_names.DIGITS,
    splits=("train", "test", "extra"),
    licence="non-commercial use only",
    citation="Netzer et al., Reading Digits in Natural Images with Unsupervised Feature Learning, 2011",
    layouts=(Layout("svhn", "svhn-mat", _SVHN_FILES), Layout("SVHN", "svhn-mat", _SVHN_FILES)),
    downloads=tuple(
        Download(
            f"{split}_32x32.mat",
            _SVHN_MD5[split],
            (f"http://ufldl.stanford.edu/housenumbers/{split}_32x32.mat",),
            "svhn",
        )
        for split in TRAIN_TEST
    ),
)

CALTECH101 = Source(
    name="caltech101",
    description="photographs in 101 classes (no background), shorter side resized to 256, centre 224x224",
    shape=(3, 224, 224),
    num_classes=101,
    classes=class_names.CALTECH101,
    splits=TRAIN_TEST,
    licence="CC BY 4.0",
    citation="Li, Andreeto, Ranzato, Perona, Caltech 101, 2022, doi:10.22002/D1.20086",
    layouts=_image_layouts(
        ("caltech101/101_ObjectCategories", "caltech-101/101_ObjectCategories", "101_ObjectCategories", "caltech101"),
        "caltech101",
    ),
    downloads=(
        Download(
            "caltech-101.zip",
            "3138e1922a9193bfa496528edbbc45d0",
            ("https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip?download=1",),
            packed=True,
        ),
    ),
)

IMAGENET = Source(
    name="imagenet",
    description="photographs in 1000 classes, shorter side resized to 256, centre 224x224",
    shape=(3, 224, 224),
    num_classes=1000,
    classes=(),
    splits=TRAIN_TEST,
    licence="research only; no redistribution",
    citation="Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, IJCV 2015",
    layouts=_image_layouts(("imagenet", "ILSVRC2012", "ILSVRC/Data/CLS-LOC"), "imagenet"),
    advice="Get it from https://image-net.org (it may not be redistributed); a folder has train/CLASS and val/CLASS",
)

SOURCES = (DIGITS, MNIST, FASHION_MNIST, CIFAR10, CIFAR100, SVHN, CALTECH101, IMAGENET)
