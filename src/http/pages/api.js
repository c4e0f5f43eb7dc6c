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
  }
}

let sessionEnded = () => {};

/// What to do when the daemon no longer knows who asks.
export function whenSessionEnds(act) {
  sessionEnded = act;
}

async function send(method, path, body) {
  const sent = body === undefined ? {} : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
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
  if (answer.status === 401 && problem.slug !== 'wrong-credentials') sessionEnded();
  throw problem;
}

export async function get(path) {
  return (await send('GET', path)).json();
}

export async function getText(path) {
  return (await send('GET', path)).text();
}

export async function getBytes(path) {
  return (await send('GET', path)).arrayBuffer();
}

export async function post(path, body) {
  const answer = await send('POST', path, body);
  return answer.status === 204 ? null : answer.json();
}

export async function remove(path) {
  await send('DELETE', path);
}

/// The daemon's own words where they are in the reader's language, ours where they are not. What it adds in English
/// to a Korean sentence is marked as English.
export function problemText(problem) {
  if (!(problem instanceof Problem)) return { title: t('problem.page'), detail: '', foreign: false };
  const key = has(`problem.${problem.slug}`) ? `problem.${problem.slug}` : null;
  if (language() === 'en' && problem.title) return { title: problem.title, detail: sentence(problem.detail), foreign: false };
  const detail = answerText(problem.detail);
  const translated = detail !== problem.detail;
  const title = key ? t(key) : t('problem.other', { status: problem.status });
  return { title, detail, foreign: !translated && language() !== 'en' };
}

/// An answer of the daemon, such as `unavailable: destroyed on 2026-11-22T10:00:00Z`, in the reader's language.
export function answerText(text) {
  const destroyed = /^unavailable: destroyed on (\S+?)[.,]?$/.exec(text ?? '');
  if (destroyed) return t('answer.destroyed', { when: pointText(destroyed[1]) });
  return text ?? '';
}

function sentence(text) {
  return answerText(text).replace(/^./, (first) => first.toUpperCase());
}
