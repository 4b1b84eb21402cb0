"""Pillow's TIFF reader, mended for one layout that it reads wrong without a word."""

from PIL.ImageFile import _Tile
from PIL.TiffImagePlugin import BITSPERSAMPLE, TiffImageFile


class PlanarTiffFile(TiffImageFile):
    """Colours of 16 bits, each in a plane of its own, uncompressed: Pillow 13 takes each plane's first half for 8 bits.

    Its libtiff reads the same pictures right where they are compressed, so here it reads all of them.
    """

    def _setup(self) -> None:
        super()._setup()
        is_deep = max(self.tag_v2.get(BITSPERSAMPLE, (1,))) == 16
        if self._planar_configuration == 2 and is_deep and not self.use_load_libtiff and len(self.getbands()) > 1:
            self.use_load_libtiff = True
            arguments = (f"{self.mode};16N", False, self.tag_v2.offset)
            self.tile = [_Tile("libtiff", (0, 0, *self._tile_size), 0, arguments)]
