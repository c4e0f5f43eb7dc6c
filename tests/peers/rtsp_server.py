#!/usr/bin/python3
"""Cameras for the tests: GStreamer's gst-rtsp-server, fed frame by frame at the pace of a living camera.

Stdin, first line, a JSON object:
  {"port": 0, "log_dir": "/tmp/log", "auth": "digest" | "basic",
   "mounts": [{"path": "/yard", "video": "yard.h264", "fps": 10, "audio": "tone.aac", "username": "u", "password": "p",
     "stall_after_frames": 30, "die_after_frames": 30}]}
  A mount needs path, video and fps; the codec is told by the file's ending (.h264, .h265). Port 0 takes a free one.
  What `auth` says is asked of whoever has to name a password: one of the two a server, digest unless said.
Stdout, first line, when it listens: {"port": 40123}

Stdin, lines after that, each answered by {"done": ACT} or {"error": TEXT}:
  {"act": "stall", "path": "/yard"}    no more frames; the session lives, keep-alives are answered
  {"act": "resume", "path": "/yard"}   frames again, where they stopped
  {"act": "hang_up", "path": "/yard"}  closes the connections of those who watch it; they may come again
Stdin's end, or SIGTERM, ends the server, so that it never outlives a killed test.

A mount's frames are one clock for all who watch. It starts when the first comes, at the file's next key frame, and
rests when the last has gone. Each frame is logged in log_dir/PATH.jsonl as it is handed to the payloader, at most a
few milliseconds before it is on the wire: {"n": 0, "key": true, "file_frame": 0, "take": 0, "at_us": 1700000000000000}
n counts over all takes (and over restarts with the same log_dir); a take is one life of the media, from the first
watcher's coming to the last one's going; at_us is wall time in microseconds since 1970.
"""

import json
import math
import os
import signal
import sys
import threading
import time
from fractions import Fraction

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

sys.dont_write_bytecode = True
from access_units import CODECS, Aac, read_video  # noqa: E402

AUTH_METHODS = {"basic": GstRtsp.RTSPAuthMethod.BASIC, "digest": GstRtsp.RTSPAuthMethod.DIGEST}


class FrameLog:
    """The frames of a mount, one JSON line each."""

    def __init__(self, directory, path):
        self.count = self.takes = 0
        name = os.path.join(directory, path.strip("/").replace("/", "_") + ".jsonl")
        if os.path.exists(name):
            with open(name, encoding="ascii") as lines:
                for line in lines:
                    row = json.loads(line)
                    self.count, self.takes = row["n"] + 1, row["take"] + 1
        self.file = open(name, "a", encoding="ascii")

    def write(self, key, file_frame, take, at_us):
        row = {"n": self.count, "key": key, "file_frame": file_frame, "take": take, "at_us": at_us}
        self.file.write(json.dumps(row) + "\n")
        self.file.flush()
        self.count += 1


class Mount:
    """What a mount shows; it outlives its takes."""

    def __init__(self, config, log_dir):
        self.path = config["path"]
        self.fps = config["fps"]
        kind = os.path.splitext(config["video"])[1].lstrip(".")
        if kind not in CODECS:
            raise ValueError(f"{config['video']}: the name must end in .h264 or .h265")
        self.codec = CODECS[kind]
        self.units = read_video(config["video"], self.codec)
        self.audio = Aac(config["audio"]) if config.get("audio") else None
        self.stall_after = config.get("stall_after_frames")
        self.die_after = config.get("die_after_frames")
        self.log = FrameLog(log_dir, self.path)
        self.next_unit = 0
        self.stalled = threading.Event()
        self.guard = threading.Lock()
        self.sockets = {}

    def launch_line(self):
        # The parameter sets stand in the footage before each key frame, and -1 repeats them there whatever it holds.
        line = (
            f"( appsrc name=video is-live=true format=time max-bytes=0 "
            f"caps={self.codec.caps},stream-format=byte-stream,alignment=au "
            f"! {self.codec.payloader} name=pay0 pt=96 config-interval=-1 mtu=1400"
        )
        if self.audio:
            # A watcher who takes no sound must not make it pile up.
            line += (
                f" appsrc name=audio is-live=true format=time max-buffers=50 leaky-type=downstream "
                f"caps={self.audio.caps()} ! rtpmp4gpay name=pay1 pt=97"
            )
        return line + " )"

    def hang_up(self):
        with self.guard:
            sockets = list(self.sockets.values())
        for socket in sockets:
            try:
                socket.shutdown(True, True)
            except GLib.Error:
                pass  # It has gone by itself.

    def rewind_to_key(self):
        while not self.units[self.next_unit][1]:
            self.next_unit = (self.next_unit + 1) % len(self.units)


class Take:
    """One life of a mount's media: feeds it until the last watcher has gone."""

    def __init__(self, mount, media):
        self.mount = mount
        self.over = threading.Event()
        self.playing = threading.Event()
        self.number = mount.log.takes
        mount.log.takes += 1
        mount.rewind_to_key()
        element = media.get_element()
        self.video = element.get_by_name("video")
        self.audio = element.get_by_name("audio") if mount.audio else None
        self.pushed_video = self.pushed_audio = 0
        media.connect("new-state", self.on_state)
        media.connect("unprepared", lambda _media: self.end())
        # The description waits for one frame of each stream. They stay where they are until somebody plays.
        self.push_audio(0)
        first = self.buffer(mount.units[self.mount.next_unit][0], 0, Fraction(1, mount.fps))
        self.video.emit("push-buffer", first)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def on_state(self, _media, state):
        if state == int(Gst.State.PLAYING):
            self.playing.set()
        elif state < int(Gst.State.PLAYING):
            self.playing.clear()

    def end(self):
        self.over.set()
        self.playing.set()

    @staticmethod
    def buffer(data, at, length):
        buffer = Gst.Buffer.new_wrapped(data)
        # Up to the next nanosecond: RTP's 90 kHz rounds down, and frames shall be evenly spaced there.
        buffer.pts = buffer.dts = math.ceil(at * Gst.SECOND)
        buffer.duration = math.ceil(length * Gst.SECOND)
        return buffer

    def push_audio(self, until):
        """Sound runs along with the picture, up to `until` seconds."""
        if self.audio is None:
            return
        length = self.mount.audio.frame_seconds()
        frames = self.mount.audio.frames
        while self.pushed_audio * length <= until:
            data = frames[self.pushed_audio % len(frames)]
            self.audio.emit("push-buffer", self.buffer(data, self.pushed_audio * length, length))
            self.pushed_audio += 1

    def push_video(self, at):
        mount = self.mount
        data, key = mount.units[mount.next_unit]
        at_us = time.time_ns() // 1000
        # The first frame waits in the pipeline since the description, and leaves when somebody plays.
        if self.pushed_video > 0:
            if self.video.emit("push-buffer", self.buffer(data, at, Fraction(1, mount.fps))) != Gst.FlowReturn.OK:
                self.end()
                return
        mount.log.write(key, mount.next_unit, self.number, at_us)
        mount.next_unit = (mount.next_unit + 1) % len(mount.units)
        self.pushed_video += 1

    def run(self):
        mount = self.mount
        self.playing.wait()
        started = time.monotonic()
        tick = 0
        while not self.over.is_set():
            at = Fraction(tick, mount.fps)
            self.over.wait(max(0.0, started + float(at) - time.monotonic()))
            if self.over.is_set():
                return
            if mount.stall_after is not None and self.pushed_video >= mount.stall_after:
                mount.stall_after = None
                mount.stalled.set()
            if self.playing.is_set() and not mount.stalled.is_set():
                self.push_audio(at)
                self.push_video(at)
            if mount.die_after is not None and self.pushed_video >= mount.die_after:
                # The last frame shall be out before.
                self.over.wait(0.5 / mount.fps)
                mount.hang_up()
                return
            tick += 1


class Cameras:
    def __init__(self, config):
        os.makedirs(config["log_dir"], exist_ok=True)
        self.server = GstRtspServer.RTSPServer()
        self.server.set_address("127.0.0.1")
        self.server.set_service(str(config.get("port", 0)))
        self.server.connect("client-connected", lambda _server, client: client.connect("play-request", self.on_play))
        self.mounts = {}
        self.auth = GstRtspServer.RTSPAuth()
        self.auth.set_supported_methods(AUTH_METHODS[config.get("auth", "digest")])
        anonymous = GstRtspServer.RTSPToken()
        anonymous.set_string("media.factory.role", "anonymous")
        for mount in config["mounts"]:
            self.add(mount, config["log_dir"])
        self.auth.set_default_token(anonymous)
        self.server.set_auth(self.auth)
        if self.server.attach(None) == 0:
            raise OSError(f"port {config.get('port', 0)} cannot be bound")

    def add(self, config, log_dir):
        mount = Mount(config, log_dir)
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_shared(True)
        factory.set_launch(mount.launch_line())
        factory.connect("media-configure", lambda _factory, media: Take(mount, media))
        role = "anonymous"
        if config.get("username"):
            # Who may see one mount may not see the next. A role's name begins with a letter.
            role = "watches_" + config["path"].strip("/").replace("/", "_")
            token = GstRtspServer.RTSPToken()
            token.set_string("media.factory.role", role)
            self.auth.add_basic(GstRtspServer.RTSPAuth.make_basic(config["username"], config["password"]), token)
            self.auth.add_digest(config["username"], config["password"], token)
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_role(role)
        permissions.add_permission_for_role(role, "media.factory.access", True)
        permissions.add_permission_for_role(role, "media.factory.construct", True)
        if role != "anonymous":
            # A stranger may look (refused that, he is told 404), and is asked for a password when he wants the media.
            permissions.add_role("anonymous")
            permissions.add_permission_for_role("anonymous", "media.factory.access", True)
            permissions.add_permission_for_role("anonymous", "media.factory.construct", False)
        factory.set_permissions(permissions)
        self.server.get_mount_points().add_factory(config["path"], factory)
        self.mounts[config["path"]] = mount

    def on_play(self, client, context):
        mount = self.mounts.get(context.uri.abspath.rstrip("/"))
        if mount is None:
            return
        with mount.guard:
            mount.sockets[client] = client.get_connection().get_read_socket()
        client.connect("closed", lambda gone: self.on_gone(mount, gone))

    @staticmethod
    def on_gone(mount, client):
        with mount.guard:
            mount.sockets.pop(client, None)

    def act(self, order):
        mount = self.mounts[order["path"]]
        if order["act"] == "stall":
            mount.stalled.set()
        elif order["act"] == "resume":
            mount.stalled.clear()
        elif order["act"] == "hang_up":
            mount.hang_up()
        else:
            raise ValueError(f"unknown act {order['act']}")


def say(row):
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


def take_orders(cameras, loop):
    for line in sys.stdin:
        try:
            order = json.loads(line)
            cameras.act(order)
            say({"done": order["act"]})
        except (ValueError, KeyError) as error:
            say({"error": repr(error)})
    loop.quit()


def main():
    first = sys.stdin.readline()
    if not first:
        sys.exit("rtsp_server.py: nothing on stdin; the first line is its configuration, see the head of the file")
    Gst.init(None)
    loop = GLib.MainLoop()
    cameras = Cameras(json.loads(first))
    GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGTERM, loop.quit)
    threading.Thread(target=take_orders, args=(cameras, loop), daemon=True).start()
    say({"port": cameras.server.get_bound_port()})
    loop.run()
    # Straight out: unwinding live pipelines can hang, and there is nothing left to save.
    os._exit(0)


if __name__ == "__main__":
    main()
