// Plays a playlist (RFC 8216) of fragmented MP4.
//
// Each fragment asked for is a row of the ledger: somebody saw this. So they are asked for here, one by one, once each,
// and not long before they are shown (Media Source Extensions). A browser that plays playlists by itself, as Chromium
// does, asks for some of them twice, and for more than is watched; that way is left for browsers without the other.

import { getBytes, getText } from './api.js';

const PLAYLIST_TYPE = 'application/vnd.apple.mpegurl';
const AHEAD_S = 10;
const BEHIND_S = 60;
/// Times in a playlist are rounded; less than this is no gap.
const GAP_MS = 500;

/// The browser cannot show it; `why` is `h265` or `unplayable`.
export class Unplayable extends Error {
  constructor(why) {
    super(why);
    this.why = why;
  }
}

/// The fragments in order: where each stands on the player's clock, which init segment it needs, when it was filmed.
function parse(text, base) {
  const pieces = [];
  let [init, length, at, start] = [null, 0, null, 0];
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#EXT-X-MAP:')) init = new URL(/URI="([^"]+)"/.exec(line)[1], base).pathname;
    else if (line.startsWith('#EXT-X-PROGRAM-DATE-TIME:')) at = new Date(line.slice(25)).getTime();
    else if (line.startsWith('#EXTINF:')) length = parseFloat(line.slice(8));
    else if (line !== '' && !line.startsWith('#')) {
      const address = new URL(line, base);
      pieces.push({ address: address.pathname + address.search, init, start, length, at });
      start += length;
      at = at === null ? null : at + length * 1000;
    }
  }
  return pieces;
}

class Footage {
  constructor(pieces) {
    this.pieces = pieces;
    this.length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  }

  index(seconds) {
    const found = this.pieces.findIndex((piece) => seconds < piece.start + piece.length);
    return found === -1 ? this.pieces.length - 1 : found;
  }

  /// When the picture at this second of the player's clock was filmed, in ms since 1970; null where nobody said.
  filmedAt(seconds) {
    const piece = this.pieces[this.index(seconds)];
    return !piece || piece.at === null ? null : piece.at + (seconds - piece.start) * 1000;
  }

  /// [from, to] of what is missing between the pieces.
  gaps() {
    const ends = this.pieces.map((piece) => piece.at + piece.length * 1000);
    return this.pieces.slice(1)
      .map((piece, i) => [ends[i], piece.at])
      .filter(([from, to], i) => this.pieces[i].at !== null && to - from > GAP_MS);
  }
}

/// The codec string of an init segment (RFC 6381), from its decoder configuration.
function codecsOf(init) {
  const bytes = new Uint8Array(init);
  const find = (name) => {
    const wanted = [...name].map((letter) => letter.charCodeAt(0));
    return bytes.findIndex((_, i) => wanted.every((byte, j) => bytes[i + j] === byte));
  };
  const avc = find('avcC');
  if (avc !== -1) return `avc1.${[...bytes.slice(avc + 5, avc + 8)].map((b) => b.toString(16).padStart(2, '0')).join('')}`;
  // The profile matters little here: a browser plays H.265 or does not.
  return find('hvcC') !== -1 ? 'hvc1.1.6.L120.90' : '';
}

function typeOf(codecs) {
  return `video/mp4; codecs="${codecs}"`;
}

function unplayable(codecs) {
  return new Unplayable(/^(hvc1|hev1)/.test(codecs) ? 'h265' : 'unplayable');
}

/// Acts, and is done once `kind` happens to `target`; fails when `failure` happens first, or the page is left.
function until(target, kind, signal, act, failure = 'error') {
  const over = new AbortController();
  const once = { signal: over.signal };
  return new Promise((done, failed) => {
    signal.throwIfAborted();
    target.addEventListener(kind, done, once);
    target.addEventListener(failure, () => failed(new Unplayable('unplayable')), once);
    signal.addEventListener('abort', () => failed(signal.reason), once);
    act();
  }).finally(() => over.abort());
}

/// Fetches fragments as the player comes to need them, and hands them over one by one.
class Feeder {
  constructor(video, footage, signal) {
    Object.assign(this, { video, footage, signal, held: new Set(), last: null, init: null });
  }

  /// `init` is the init segment of the first piece.
  async open(codecs, init) {
    this.source = new MediaSource();
    const address = URL.createObjectURL(this.source);
    await until(this.source, 'sourceopen', this.signal, () => { this.video.src = address; }, 'sourceclose');
    URL.revokeObjectURL(address);
    this.source.duration = this.footage.length;
    this.buffer = this.source.addSourceBuffer(typeOf(codecs));
    // In this mode a fragment stands where it is put, whatever its own clock says: that one runs on through gaps.
    this.buffer.mode = 'sequence';
    await this.append(init);
    this.init = this.footage.pieces[0].init;
  }

  async append(bytes) {
    await until(this.buffer, 'updateend', this.signal, () => this.buffer.appendBuffer(bytes));
  }

  /// The first piece from the one on the screen that is not there yet; null where enough is.
  wanted() {
    const { pieces } = this.footage;
    const now = this.video.currentTime;
    let next = this.footage.index(now);
    while (this.held.has(next)) next += 1;
    return next < pieces.length && pieces[next].start - now <= AHEAD_S ? next : null;
  }

  /// Brings one piece, and lets go of those long past. False when there is nothing to do.
  async step() {
    const next = this.wanted();
    if (next === null) return false;
    const { pieces } = this.footage;
    const piece = pieces[next];
    if (piece.init !== this.init) {
      await this.append(await getBytes(piece.init));
      this.init = piece.init;
    }
    const bytes = await getBytes(piece.address);
    if (this.last !== next - 1) this.buffer.timestampOffset = piece.start;
    await this.append(bytes);
    this.last = next;
    this.held.add(next);
    const old_s = this.video.currentTime - BEHIND_S;
    const past = [...this.held].filter((index) => pieces[index].start + pieces[index].length < old_s);
    if (past.length > 0) {
      await until(this.buffer, 'updateend', this.signal, () => this.buffer.remove(0, old_s));
      past.forEach((index) => this.held.delete(index));
    }
    if (this.held.has(pieces.length - 1) && this.source.readyState === 'open') this.source.endOfStream();
    return true;
  }

  /// Keeps the player fed until the page is left or a piece is refused; that is told once.
  feed(trouble) {
    const stopped = new AbortController();
    const going = { signal: AbortSignal.any([this.signal, stopped.signal]) };
    let busy = false;
    const go = async () => {
      if (busy || going.signal.aborted) return;
      busy = true;
      try {
        while (await this.step());
      } catch (problem) {
        stopped.abort();
        trouble(problem);
      }
      busy = false;
    };
    for (const kind of ['timeupdate', 'seeking', 'waiting']) this.video.addEventListener(kind, go, going);
    go();
  }
}

/// Hands the playlist to the browser. The first picture tells that it can.
async function playByBrowser(video, address, signal) {
  if (video.canPlayType(PLAYLIST_TYPE) === '') throw new Unplayable('unplayable');
  await until(video, 'loadeddata', signal, () => { video.src = address; });
}

/// Opens the playlist at `address` in `video`. Rejects with what hinders it; `trouble` hears what comes later.
export async function openFootage(video, address, signal, trouble) {
  const pieces = parse(await getText(address), new URL(address, location.href));
  if (pieces.length === 0) throw new Unplayable('unplayable');
  const init = await getBytes(pieces[0].init);
  const codecs = codecsOf(init);
  if (video.canPlayType(typeOf(codecs)) === '') throw unplayable(codecs);
  const footage = new Footage(pieces);
  if (window.MediaSource?.isTypeSupported(typeOf(codecs))) {
    const feeder = new Feeder(video, footage, signal);
    await feeder.open(codecs, init);
    feeder.feed(trouble);
  } else {
    await playByBrowser(video, address, signal);
    video.addEventListener('error', () => trouble(new Unplayable('unplayable')), { signal });
  }
  return footage;
}
