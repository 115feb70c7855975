"""What a file truly is that cannot be decoded: from its first bytes, in words for whoever has to mend it."""

from __future__ import annotations

from fixgrid.cache.text import show_text

from .tiff import describe_tiff

HEIC = "a HEIC photograph, which needs the package pillow-heif: pip install 'fixgrid[heic]', or convert it to JPEG"
_CONVERT = "convert it to PNG or JPEG"
_UNPACK = "unpack it first"

# Where the bytes stand, the bytes, what they begin, and what to do about it.
_MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"version https://git-lfs", "a Git LFS pointer, not the image", "run git lfs pull"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image", _CONVERT),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image", _CONVERT),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image", _CONVERT),
    (0, b"\xff\x0a", "a JPEG XL image", _CONVERT),
    (0, b"II\xbc", "a JPEG XR image", _CONVERT),
    (128, b"DICM", "a DICOM file", "convert its pixels to 16-bit PNG or TIFF, see --scale"),
    (344, b"n+1\0", "a NIfTI volume", "convert its slices to 16-bit PNG or TIFF, see --scale"),
    (0, b"NRRD", "an NRRD volume", "convert its slices to 16-bit PNG or TIFF, see --scale"),
    (0, b"SIMPLE  =", "a FITS file", "convert it to 16-bit PNG or TIFF, see --scale"),
    (0, b"\x93NUMPY", "a NumPy array, not an image", "save it as PNG or TIFF"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, not an image", "save its images as PNG or TIFF"),
    (0, b"MATLAB 5", "a MATLAB file, not an image", "save its images as PNG or TIFF"),
    (0, b"\x1f\x8b", "gzip-compressed data", _UNPACK),
    (0, b"PK\x03\x04", "a ZIP archive", _UNPACK),
    (0, b"BZh", "bzip2-compressed data", _UNPACK),
    (0, b"\xfd7zXZ\0", "xz-compressed data", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "zstd-compressed data", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (0, b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"%PDF", "a PDF document, not an image", _CONVERT),
    (0, b"%!PS", "a PostScript drawing, not pixels", _CONVERT),
    (0, b"AT&TFORM", "a DjVu document, not an image", _CONVERT),
    (0, b"8BPS", "a Photoshop document", _CONVERT),
    (0, b"gimp xcf", "a GIMP document", _CONVERT),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR image", _CONVERT),
    (0, b"#?RADIANCE", "a Radiance HDR image", _CONVERT),
    (0, b"DDS ", "a DDS texture", _CONVERT),
    (0, b"qoif", "a QOI image", _CONVERT),
    (0, b"\0\0\1\0", "an icon (ICO)", _CONVERT),
    (0, b"icns", "an icon (ICNS)", _CONVERT),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw image", _CONVERT),
    (0, b"IIU\0", "a camera's raw image", _CONVERT),
    (0, b"IIRO", "a camera's raw image", _CONVERT),
    (0, b"\x1aE\xdf\xa3", "a video (Matroska or WebM)", "save frames as images"),
    (8, b"AVI ", "a video (AVI)", "save frames as images"),
    (0, b"\0\5\x16\7", "what macOS keeps beside a file (AppleDouble), not the image", "remove it"),
    (0, b"SQLite format 3", "a data base, not an image", ""),
    (0, b"\x7fELF", "a program, not an image", ""),
)
# Of the boxes that ISO media files begin with, by their brand: what it is and what to do.
_BRANDS: tuple[tuple[tuple[bytes, ...], str, str], ...] = (
    ((b"avif", b"avis", b"mif1"), "an AVIF image that is damaged, or that this Pillow cannot decode", _CONVERT),
    ((b"crx ",), "a camera's raw image", _CONVERT),
    ((b"",), "a video (MP4 or QuickTime)", "save frames as images"),
)
_HEIC = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"}
_OURS = {b"\xff\xd8": "JPEG", b"\x89PNG": "PNG", b"GIF8": "GIF", b"BM": "BMP", b"RIFF": "WebP"}


def is_heic(head: bytes) -> bool:
    """Whether a file that begins so, with 64 bytes or more, is a HEIC photograph; ISO/IEC 23008-12."""
    length = int.from_bytes(head[:4], "big")
    brands = [head[place : place + 4] for place in range(8, min(length, len(head), 64), 4)]
    return head[4:8] == b"ftyp" and bool(_HEIC.intersection(brands)) and b"avif" not in brands


def name_kind(data: bytes) -> str:
    """What a file is that no decoder takes for an image, and what to do about it, as ``a PDF document: ...``."""
    for place, magic, what, cure in _MAGIC:
        if data.startswith(magic, place):
            return f"{what}: {cure}" if cure else what
    if data[4:8] == b"ftyp":
        what, cure = next((what, cure) for brands, what, cure in _BRANDS if data[8:12].startswith(brands))
        return f"{what}: {cure}"
    if data[:2] in (b"II", b"MM") and data[2:4] in (b"*\0", b"\0*", b"+\0", b"\0+"):
        return describe_tiff(data)
    for magic, name in _OURS.items():
        if data.startswith(magic):
            return f"a damaged {name} file: its header cannot be read"
    return _name_text(data[:1024]) or "not a JPEG, PNG, WebP, AVIF, BMP, TIFF or GIF image"


def _name_text(head: bytes) -> str:
    """What a text is; empty if it is none."""
    if not head.strip(b"\0"):
        return "nothing but zero bytes: a copy that was not finished"
    try:
        text = (
            head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "strict" if len(head) < 1024 else "ignore").lstrip()
        )
    except UnicodeDecodeError:
        return ""
    low = text.lower()
    if low.startswith(("<!doctype html", "<html")) or "<html" in low:
        return "an HTML page, not an image: download it again"
    if low.startswith("<svg") or (low.startswith(("<?xml", "<!")) and "<svg" in low):
        return f"an SVG drawing, not pixels: {_CONVERT}"
    if not text or any(ord(char) < 32 and char not in "\t\n\r\f" for char in text):
        return ""
    return f"a text, not an image: it begins with {show_text(text.splitlines()[0][:40])}"
