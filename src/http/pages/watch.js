// A viewer's page: begins a viewing, plays one camera of a grant, and ends the viewing.

import { get, post } from './api.js';
import { confirmation, facts, form, h, heading, note, problemBox, section } from './dom.js';
import { t } from './words.js';
import { clockText, pointText, spanText } from './times.js';
import { cameraText, readCameras } from './cameras.js';
import { boundsOf } from './grants.js';
import { Unplayable, openFootage } from './player.js';

const ASKED_EVERY_MS = 1000;

/// Plays into `video`, and says in `told` what hinders it. The page asks all the while whether the viewing goes on, and lets
/// go of the picture when it does not: what was buffered is not shown either. Returns what ends that.
function begin(house, video, told, clock, place) {
  const leaving = new AbortController();
  const asking = setInterval(() => get(`${place.replace(/\/cameras.*/, '')}/viewing`).catch((problem) => {
    clearInterval(asking);
    if (leaving.signal.aborted) return;
    trouble(problem);
    leaving.abort();
    video.pause();
    video.removeAttribute('src');
    video.load();
    video.parentElement.hidden = true;
    clock.parentElement.hidden = true;
  }), ASKED_EVERY_MS);
  // Nothing is asked for any more: not when the page is left, and not when the viewing is about to end.
  const leave = () => {
    clearInterval(asking);
    leaving.abort();
    video.pause();
    video.removeAttribute('src');
    video.load();
  };
  house.whenLeft(leave);
  const trouble = (problem) => {
    if (leaving.signal.aborted) return;
    told.replaceChildren(problem instanceof Unplayable ? note(t(`watch.${problem.why}`), 'warning') : problemBox(problem));
    told.dataset.state = 'trouble';
    // With nothing to show, an empty screen only confuses.
    video.parentElement.hidden = video.readyState === 0;
    clock.parentElement.hidden = video.parentElement.hidden;
  };
  told.replaceChildren(h('p', { class: 'loading', role: 'status' }, t('watch.loading')));
  video.addEventListener('loadeddata', () => {
    told.dataset.state = 'playing';
    told.querySelector('.loading')?.remove();
  });
  openFootage(video, `${place}/playlist.m3u8`, leaving.signal, trouble).then((footage) => {
    const tell = () => {
      const at = footage.filmedAt(video.currentTime);
      clock.textContent = at === null ? '' : pointText(at);
    };
    video.addEventListener('timeupdate', tell);
    tell();
    told.append(...footage.gaps().map(([from, to]) => note(t('watch.gap', { from: clockText(from), to: clockText(to) }))));
  }, trouble);
  return leave;
}

/// What stands before a viewing: what will be shown, where and when, and who is to be there.
function beginForm(house, grant) {
  const hindered = [
    grant.conditions.masking && t('viewing.masking'),
    !grant.is_here && t('viewing.elsewhere', { place: grant.conditions.terminal }),
  ].filter(Boolean);
  if (hindered.length > 0) return section(t('viewing.begin'), facts(boundsOf(grant)), hindered.map((why) => note(why, 'warning')));
  return section(t('viewing.begin'), form({ id: 'begin-viewing' }, async (_, once) => {
    await post(`/v1/grants/${grant.grant}/viewing`, { present: grant.conditions.present }, null, once);
    await house.refresh();
  },
  h('p', {}, t('viewing.begin.why')),
  facts([...grant.views.map((view) => [t('viewing.camera', { camera: view.camera }), spanText(view.span)]), ...boundsOf(grant)]),
  grant.conditions.present && confirmation('present', t('viewing.present.sure')),
  h('button', { type: 'submit', class: 'main' }, t('viewing.begin.send'))));
}

function endForm(house, grant, text, before = () => {}) {
  return form({ id: 'end-viewing' }, async () => {
    before();
    await post(`/v1/grants/${grant.grant}/viewing/end`, {});
    await house.refresh(t('viewing.end.done'));
  }, h('button', { type: 'submit' }, text));
}

function player(house, grant, camera, name) {
  const video = h('video', {
    controls: true, muted: true, playsinline: true, preload: 'auto', disablepictureinpicture: true, disableremoteplayback: true,
    controlslist: 'nodownload noremoteplayback', 'aria-label': t('watch.video', { camera: name }),
  });
  const told = h('div', { id: 'told', 'data-state': 'opening' });
  const clock = h('output', { id: 'filmed-at' });
  const place = `/v1/grants/${grant.grant}/cameras/${camera}`;
  const stop = begin(house, video, told, clock, place);
  return [
    h('p', { class: 'hint' }, t('watch.recorded')),
    told,
    h('div', { class: 'screen' }, video),
    h('p', { class: 'filmed' }, `${t('watch.clock')}: `, clock),
    grant.cameras.length > 1 && h('nav', { class: 'pages', 'aria-label': t('watch.cameras') }, grant.cameras.map((one) =>
      h('a', { class: 'button', href: `#/grants/${grant.grant}/${one}`, 'aria-current': one === camera && 'page' }, t('grants.watch', { camera: one })))),
    grant.conditions.copy && h('p', {}, h('a', { class: 'button', href: `${place}/film.mp4`, download: '' }, t('viewing.copy'))),
    endForm(house, grant, t('viewing.end'), stop),
  ];
}

/// By where the viewing stands: to be begun, under way here, or elsewhere.
function sitting(house, grant, camera, name) {
  if (grant.state !== 'open') return [note(t('viewing.over'), 'warning')];
  const viewing = grant.viewings.find((one) => one.ended === null);
  if (!viewing) return [beginForm(house, grant)];
  if (viewing.is_own) return player(house, grant, camera, name);
  return [note(t('viewing.other', { when: pointText(viewing.began) }), 'warning'), endForm(house, grant, t('viewing.end.other'))];
}

export async function watchPage(house) {
  const [{ grants }, cameras] = await Promise.all([get('/v1/grants'), readCameras()]);
  const [number, camera] = house.path.slice(1).map(Number);
  const grant = grants.find((one) => one.grant === number);
  const view = grant?.views.find((one) => one.camera === camera);
  const back = h('p', { class: 'back' }, h('a', { href: '#/grants' }, `← ${t('back')}`));
  if (!view) return [back, heading(t('watch.title')), note(t('watch.unknown'), 'warning')];
  const name = cameraText(cameras, camera);
  return [
    back,
    heading(`${t('watch.title')}: ${name}`),
    ...sitting(house, grant, camera, name),
    h('div', { class: 'card' }, facts([
      [t('request.granted'), spanText(view.span)],
      [t('grants.request'), grant.request],
      [t('grants.ends'), pointText(grant.ends)],
    ])),
  ].filter(Boolean);
}
