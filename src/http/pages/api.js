// Talks to the daemon, on this page's own origin alone.

import { t, has, language } from './words.js';
import { pointText } from './times.js';

/// What the daemon answered instead of what was asked for (RFC 9457), or that it did not answer.
export class Problem extends Error {
  constructor(status, body) {
    super(`problem ${status}`);
    this.status = status;
    this.slug = String(body?.type ?? '').replace(/^urn:custodian:/, '');
    this.title = body?.title ?? '';
    this.detail = body?.detail ?? '';
    this.destroys = body?.destroys ?? null;
  }
}

let sessionEnded = () => {};

/// What to do when the daemon no longer knows who asks.
export function whenSessionEnds(act) {
  sessionEnded = act;
}

async function send(method, path, body, code = null, { key = null, seen = null } = {}) {
  const headers = {
    'Content-Type': 'application/json',
    ...(code ? { 'Custodian-Code': code } : {}),
    ...(key ? { 'Idempotency-Key': key } : {}),
    ...(seen === null ? {} : { 'If-Match': `"${seen}"` }),
  };
  const sent = body === undefined ? {} : { headers, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(path, { method, credentials: 'same-origin', cache: 'no-store', redirect: 'error', ...sent });
  } catch {
    throw new Problem(0, { type: 'urn:custodian:unreachable' });
  }
  if (answer.ok) return answer;
  let told = null;
  try {
    told = await answer.json();
  } catch {
    // An answer without a problem document: its status is all there is to say.
  }
  const problem = new Problem(answer.status, told);
  // A wrong password at sign-in is an answer as well, and ends nothing.
  if (problem.slug === 'not-signed-in') sessionEnded();
  throw problem;
}

/// What stands there. Of a listing that is told in parts, all of it, unless a number of lines was asked for.
export async function get(path) {
  const told = await (await send('GET', path)).json();
  let next = path.includes('limit=') ? null : told?.next ?? null;
  while (next !== null) {
    const part = await (await send('GET', `${path}${path.includes('?') ? '&' : '?'}after=${encodeURIComponent(next)}`)).json();
    for (const [field, value] of Object.entries(part)) {
      if (Array.isArray(value) && Array.isArray(told[field])) told[field].push(...value);
    }
    next = part.next ?? null;
  }
  return told;
}

export async function getText(path) {
  return (await send('GET', path)).text();
}

export async function getBytes(path) {
  return (await send('GET', path)).arrayBuffer();
}

/// A key for one thing that is made.
export function onceKey() {
  return crypto.randomUUID();
}

/// `key`: of [onceKey]. `seen`: the version of what is changed, as it is shown here; if somebody else changed it meanwhile,
/// nothing is done.
export async function post(path, body, code = null, more = {}) {
  const answer = await send('POST', path, body, code, more);
  return answer.status === 204 ? null : answer.json();
}

export async function remove(path) {
  await send('DELETE', path);
}

/// Problems that say that somebody else was quicker: what is shown is not how it is any more.
const STALE = [
  'changed', 'wrong-state', 'hold-ended', 'account-state', 'operation-under-way', 'operation-ended', 'dispute-settled', 'disputed', 'month-reviewed', 'day-confirmed', 'report-changed', 'grant-over', 'viewing-under-way', 'no-viewing', 'no-such-session',
];

/// Whether the page is to be brought anew.
export function wantsReload(problem) {
  return problem instanceof Problem && STALE.includes(problem.slug);
}

/// Problems whose sentence says all; of the others the daemon's detail is shown too.
const SAID_IN_FULL = [
  'wrong-credentials', 'wrong-password', 'second-factor-wanted', 'second-factor-missing', 'not-approved', 'password-too-old',
  'own-account', 'last-officer', 'no-such-account', 'no-such-operation', 'no-operating-room', 'no-such-hold', 'own-hold', 'no-such-day', 'no-such-month', 'month-not-over', 'month-reviewed', 'period-too-long', 'day-not-over', 'day-confirmed', 'report-changed', 'forbidden', 'no-such-request', 'no-such-route', 'span-in-future', 'id-number', 'four-eyes', 'changed', 'key-used', 'cross-site', 'too-many-requests', 'own-decision', 'guardian-wanted', 'public-bodies-only', 'operating-room-routes', 'no-operating-room-camera', 'no-such-dispute', 'dispute-settled', 'no-such-place',
  'no-grant', 'outside-grant', 'masking-wanted', 'no-copy', 'not-present', 'viewings-used', 'no-viewing', 'no-such-grant', 'grant-over', 'inside', 'clock-refused', 'clock-destroys',
];

/// The daemon's own words where they are in the reader's language, ours where they are not. What it adds in English
/// to a Korean sentence is marked as English.
export function problemText(problem) {
  if (!(problem instanceof Problem)) return { title: t('problem.page'), detail: '', foreign: false };
  const key = `problem.${problem.slug}`;
  const detail = answerText(problem.detail);
  if (language() === 'en' && problem.title) return { title: problem.title, detail: detail.replace(/^./, (first) => first.toUpperCase()), foreign: false };
  const title = has(key) ? t(key) : t('problem.other', { status: problem.status });
  if (SAID_IN_FULL.includes(problem.slug)) return { title, detail: '', foreign: false };
  return { title, detail, foreign: language() !== 'en' && detail === problem.detail };
}

/// What the daemon writes into answers and reasons, and the words for it here.
const SENTENCES = {
  'footage exists': 'answer.exists',
  'no footage exists': 'answer.exists-not',
  'nothing was recorded then': 'answer.never',
  'nothing is left of it': 'answer.nothing-left',
  'the camera did not answer': 'cause.unreachable',
  'the camera refused the password': 'cause.unauthorized',
  'the camera sent nothing that could be read': 'cause.unreadable',
  "the camera's stream broke off": 'cause.disconnected',
  'the camera sent no picture': 'cause.stalled',
  'the recorder was not running': 'cause.not-running',
  'the disk failed': 'cause.volume-failed',
  'the disk was too slow': 'cause.overrun',
  'the disk was full': 'cause.disk-full',
  "it was outside the camera's hours": 'cause.outside-hours',
  'no operation was under way': 'cause.no-operation',
  'a law forbids or limits it': 'ground.forbidden-by-law',
  'it would harm others': 'ground.harm-to-others',
  'the footage was destroyed at the end of its period': 'ground.already-destroyed',
  'erased': 'answer.erased',
  'erased in part': 'answer.erased-in-part',
  'another just cause': 'ground.other-just-cause',
  'other people are being made unrecognisable': 'postpone.masking',
  'the footage is out of reach for now': 'postpone.footage-out-of-reach',
  'it is in dispute': 'postpone.dispute',
  'what is asked for is being clarified': 'postpone.being-clarified',
};

function sentence(text) {
  return Object.hasOwn(SENTENCES, text) ? t(SENTENCES[text]) : text;
}

/// One of several causes why there is no footage; null for what is none.
function reasonText(text) {
  const [, when] = /^(?:destroyed|destroyed early|erased on request|removed, never recorded whole,) on (\S+)$/.exec(text) ?? [];
  if (when) return t('piece.destroyed-at', { when: pointText(when) });
  return SENTENCES[text]?.startsWith('cause.') ? t(SENTENCES[text]) : null;
}

/// An answer to a request, as in `unavailable: destroyed on 2026-11-22T10:00:00.000Z`, `footage exists` or
/// `it would harm others: a child is visible`, in the reader's language. The officer's own words stay as they are.
export function answerText(text) {
  const several = /^(?:unavailable: )?(.*; .*)$/s.exec(text);
  if (several && several[1].split('; ').every((one) => reasonText(one) !== null)) {
    return t('answer.unavailable', { why: several[1].split('; ').map(reasonText).join(', ') });
  }
  const destroyed = /^(?:unavailable: )?(destroyed|destroyed early|erased on request) on (\S+)$/.exec(text);
  if (destroyed) return t(`answer.${destroyed[1].replaceAll(' ', '-')}`, { when: pointText(destroyed[2]) });
  const postponed = /^postponed until (\S+): (.*)$/s.exec(text);
  if (postponed) {
    const [, cause, words] = /^([^:]+): (.*)$/s.exec(postponed[2]) ?? [];
    const why = Object.hasOwn(SENTENCES, cause) ? `${sentence(cause)}: ${words}` : postponed[2];
    return t('answer.postponed', { when: pointText(postponed[1]), why });
  }
  const [, head, rest] = /^([^:]+): (.*)$/s.exec(text) ?? [];
  if (head === 'unavailable') return t('answer.unavailable', { why: sentence(rest) });
  return Object.hasOwn(SENTENCES, head) ? `${sentence(head)}: ${rest}` : sentence(text);
}
