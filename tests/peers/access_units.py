"""Cuts raw byte streams into what a camera sends at a time: access units of video, frames of AAC.

The files come from footage.sh: Annex B with access unit delimiters (ITU-T H.264 and H.265, 7.4.1.2.3 and 7.4.2.4.4),
and ADTS (ISO/IEC 13818-7, 6.2).
"""

import re
from fractions import Fraction

START_CODE = b"\x00\x00\x00\x01"
AAC_SAMPLE_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
AAC_SAMPLES_A_FRAME = 1024


class Codec:
    """What differs between the two codecs, as far as a camera is concerned."""

    def __init__(self, caps, payloader, delimiter, nal_type, is_key):
        self.caps = caps
        self.payloader = payloader
        self.delimiter = delimiter
        self.nal_type = nal_type
        self.is_key = is_key


CODECS = {
    "h264": Codec("video/x-h264", "rtph264pay", 9, lambda nal: nal[0] & 0x1F, lambda kind: kind == 5),
    # 16 to 23 are the random access pictures.
    "h265": Codec("video/x-h265", "rtph265pay", 35, lambda nal: (nal[0] >> 1) & 0x3F, lambda kind: 16 <= kind <= 23),
}


def read_video(path, codec):
    """The file's access units: a list of (bytes, is_key). Delimiters are left out, as most cameras leave them out."""
    with open(path, "rb") as file:
        stream = file.read()
    units = []
    for nal in re.split(rb"\x00\x00\x00?\x01", stream)[1:]:
        # A start code of three bytes may follow trailing zeros, which belong to no unit.
        nal = nal.rstrip(b"\x00")
        if not nal:
            continue
        kind = codec.nal_type(nal)
        if kind == codec.delimiter:
            units.append(([], False))
        elif not units:
            raise ValueError(f"{path}: does not begin with an access unit delimiter")
        else:
            nals, key = units[-1]
            nals.append(nal)
            units[-1] = (nals, key or codec.is_key(kind))
    if not units or not units[0][1]:
        raise ValueError(f"{path}: does not begin with a key frame")
    return [(b"".join(START_CODE + nal for nal in nals), key) for nals, key in units]


class Aac:
    """An ADTS file: frames without their headers, and what an RTP payloader must be told."""

    def __init__(self, path):
        with open(path, "rb") as file:
            stream = file.read()
        self.frames = []
        at = 0
        while at + 7 <= len(stream):
            header = stream[at : at + 7]
            if header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
                raise ValueError(f"{path}: no ADTS header at byte {at}")
            header_bytes = 7 if header[1] & 1 else 9
            length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
            profile, rate_index = header[2] >> 6, header[2] >> 2 & 0xF
            self.channels = (header[2] & 1) << 2 | header[3] >> 6
            self.rate = AAC_SAMPLE_RATES[rate_index]
            # AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1): object type, rate, channels.
            config = (profile + 1) << 11 | rate_index << 7 | self.channels << 3
            self.codec_data = config.to_bytes(2, "big").hex()
            self.frames.append(stream[at + header_bytes : at + length])
            at += length
        if not self.frames:
            raise ValueError(f"{path}: no ADTS frame")

    def caps(self):
        return (
            f"audio/mpeg,mpegversion=4,stream-format=raw,rate={self.rate},channels={self.channels},"
            f"codec_data=(buffer){self.codec_data}"
        )

    def frame_seconds(self):
        return Fraction(AAC_SAMPLES_A_FRAME, self.rate)
