// Points of time: RFC 3339 in UTC on the wire, the browser's own zone before people's eyes.

import { language, t } from './words.js';

const DAY_MS = 86_400_000;

function formatter(options) {
  return new Intl.DateTimeFormat(language() === 'ko' ? 'ko-KR' : 'en-GB', { hourCycle: 'h23', ...options });
}

export function dateText(at) {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? String(at) : formatter({ dateStyle: 'medium' }).format(date);
}

export function clockText(at) {
  return formatter({ hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(new Date(at));
}

/// Date and time to the second. What is no time stays as it is; a date alone stays a date.
export function pointText(at) {
  if (/^\d{4}-\d{2}-\d{2}$/.test(at)) return dateText(`${at}T00:00:00`);
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? String(at) : `${dateText(date)} ${clockText(date)}`;
}

/// Both ends; the day is said once where both are on it.
export function spanText(span) {
  const [from, to] = [new Date(span.from), new Date(span.to)];
  const end = from.toDateString() === to.toDateString() ? clockText(to) : pointText(to);
  return `${pointText(from)} – ${end}`;
}

/// The browser's zone, as in `Asia/Seoul (UTC+09:00)`.
export function zoneText() {
  const minutes = -new Date().getTimezoneOffset();
  const two = (number) => String(Math.floor(number)).padStart(2, '0');
  const offset = `UTC${minutes < 0 ? '-' : '+'}${two(Math.abs(minutes) / 60)}:${two(Math.abs(minutes) % 60)}`;
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return name && name !== 'UTC' ? `${name} (${offset})` : offset;
}

/// How many days of the calendar are left until `due`: 0 on its day, less than 0 as soon as it has passed.
export function daysLeft(due) {
  const [now, end] = [new Date(), new Date(due)];
  const days = Math.round((new Date(end).setHours(0, 0, 0, 0) - new Date(now).setHours(0, 0, 0, 0)) / DAY_MS);
  return end < now ? Math.min(days, -1) : days;
}

export function lengthText(seconds) {
  const days = seconds / 86_400;
  if (days >= 1) return t('length.days', { n: Math.floor(days) });
  return seconds >= 3600 ? t('length.hours', { n: Math.floor(seconds / 3600) }) : t('length.seconds', { n: seconds });
}

/// What a `datetime-local` input holds for a point of time.
export function toLocalInput(at) {
  const date = new Date(at);
  const two = (number) => String(number).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/// The point of time that a `datetime-local` input means, in UTC; null where it is empty or unfinished.
export function fromLocalInput(text) {
  const date = new Date(text ?? '');
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}
