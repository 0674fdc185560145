/* Connects the parts: selected person, current frame, buttons, keys, address. */
{
  const film = new Film(JSON.parse(document.getElementById('data').textContent));
  const element = (id) => document.getElementById(id);
  const video = element('video');
  const picture = video ?? element('picture');
  const now = new Now(film, picture);
  const hasPicture = () => (video ? video.readyState >= 2 : picture.complete && picture.naturalWidth > 0);
  const timeline = film.count > 1 ? new Timeline(element('timeline'), film, (frame) => player.seek(frame), (index) => choose(index)) : null;
  element('timeline-section').hidden = timeline === null;

  const show = (frame) => {
    now.show(frame, hasPicture());
    timeline?.at(frame, now.words(frame));
    if (element('readout')) {
      element('readout').textContent = `${clock(film.times[frame])} · frame ${frame + 1} / ${film.count}`;
    }
  };
  const state = () => {
    if (!element('play')) return;
    element('play').textContent = player.playing ? '❚❚' : '▶';
    element('play').setAttribute('aria-label', player.playing ? 'pause' : 'play');
    if (player.usable) element('no-video').hidden = true;
  };
  const player = new Player(film, video, show, state);

  /* The video: embedded, linked, or chosen by the user when the linked file is missing. */
  const source = element('media');
  if (video && source) {
    const data = Uint8Array.from(atob(source.textContent), (letter) => letter.charCodeAt(0));
    video.src = URL.createObjectURL(new Blob([data], { type: source.dataset.mime }));
    source.remove();
  } else if (video) {
    video.addEventListener('error', () => {
      const note = element('no-video');
      note.innerHTML = '<p></p><label>Choose the video file: <input type="file" accept="video/*"></label>';
      note.querySelector('p').textContent = `${decodeURI(film.link)} is missing or cannot be played.`;
      note.querySelector('input').addEventListener('change', (event) => {
        if (event.target.files[0]) video.src = URL.createObjectURL(event.target.files[0]);
      });
      note.hidden = false;
    });
    video.src = film.link;
  }

  const person = () => now.person;
  const choose = (index) => {
    now.person = film.people[index];
    timeline?.show(now.person);
    for (const part of document.querySelectorAll('.person-tables')) part.hidden = Number(part.dataset.person) !== index;
    if (element('person')) element('person').value = String(index);
    show(player.frame);
  };

  /* A jump goes to the start of a segment. */
  const jump = (frame) => { if (frame !== undefined) { player.pause(); player.seek(frame); } };
  const next = (segments) => jump(segments.find((segment) => segment.first > player.frame)?.first);
  const faces = () => person().segments.filter((segment) => segment.value >= 0);
  const back = () => jump(faces().findLast((segment) => segment.first < player.frame)?.first ?? 0);
  const around = (segments) => jump((segments.find((segment) => segment.first > player.frame) ?? segments[0])?.first);

  const second = (sign) => {
    const time = film.times[player.frame] + sign;
    player.pause();
    player.seek(film.frameAt(Math.max(0, time)));
  };
  const boxes = (on) => { now.boxes = on; if (element('boxes')) element('boxes').checked = on; show(player.frame); };
  const help = () => { if (element('help').open) element('help').close(); else element('help').showModal(); };
  const keys = {
    ' ': () => player.toggle(), k: () => player.toggle(),
    ArrowLeft: (event) => (event.shiftKey ? second(-1) : player.step(-1)),
    ArrowRight: (event) => (event.shiftKey ? second(1) : player.step(1)),
    Home: () => jump(0), End: () => jump(film.count - 1),
    n: () => next(faces()), p: back, d: () => around(person().wrongSegments),
    '+': () => timeline?.zoom(2), '=': () => timeline?.zoom(2), '-': () => timeline?.zoom(0.5),
    0: () => timeline?.zoom(0), b: () => boxes(!now.boxes), t: () => element('theme').click(), '?': help,
  };
  film.classes.forEach((name, index) => {
    keys[index + 1] = () => around(person().segments.filter((segment) => segment.value === index));
  });
  document.addEventListener('keydown', (event) => {
    const within = event.target.closest?.('input, select, dialog[open]');
    const pressing = event.key === ' ' && event.target.closest?.('button, summary');
    if (event.ctrlKey || event.metaKey || event.altKey || within || pressing || !(event.key in keys)) return;
    keys[event.key](event);
    event.preventDefault();
  });

  const onClick = (id, action) => element(id)?.addEventListener('click', action);
  onClick('play', () => player.toggle());
  onClick('back', () => player.step(-1));
  onClick('forth', () => player.step(1));
  onClick('previous', back);
  onClick('next', () => next(faces()));
  onClick('keys', help);
  /* A click on somebody else's face chooses them; any other plays or pauses. */
  onClick('screen', (event) => {
    if (event.target.id === 'no-video' || event.target.closest('#no-video')) return;
    const area = element('overlay').getBoundingClientRect();
    const ratio = film.size[0] / area.width;
    const [hit] = film.peopleAt(player.frame, (event.clientX - area.left) * ratio, (event.clientY - area.top) * ratio);
    if (hit && hit !== person()) choose(film.people.indexOf(hit));
    else player.toggle();
  });
  element('boxes')?.addEventListener('change', (event) => boxes(event.target.checked));
  element('speed')?.addEventListener('change', (event) => player.setSpeed(Number(event.target.value)));
  element('person')?.addEventListener('change', (event) => choose(Number(event.target.value)));
  for (const button of document.querySelectorAll('.jump')) {
    button.addEventListener('click', () => {
      jump(Number(button.dataset.frame) - 1);
      element('screen').scrollIntoView({ block: 'nearest', behavior: 'smooth' });
    });
  }
  new ResizeObserver(() => now.drawBoxes(player.frame)).observe(element('overlay'));
  picture.addEventListener('load', () => show(player.frame));
  document.addEventListener('themechange', () => show(player.frame));

  /* page.html#frame=120&person=clip_left */
  const follow = () => {
    const asked = new URLSearchParams(location.hash.slice(1));
    const index = film.people.findIndex((each) => each.name === asked.get('person'));
    if (index >= 0) choose(index);
    const frame = Number.parseInt(asked.get('frame') ?? '', 10);
    if (Number.isInteger(frame)) jump(film.clamp(frame - 1));
  };
  addEventListener('hashchange', follow);

  for (const button of document.querySelectorAll('[data-export]')) {
    button.addEventListener('click', () => save(exports[button.dataset.export](film), button.dataset.export));
  }
  const save = (text, ending) => {
    const link = Object.assign(document.createElement('a'), { download: `${film.name}.${ending}` });
    link.href = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };

  /* The page opens on somebody who is in the picture: on the first frame, or else where the first face appears. */
  const begin = film.people.findIndex((one) => one.hasFace(0));
  show(0);
  if (begin > 0) choose(begin);
  else if (begin < 0) {
    const firsts = film.people.map((one) => one.segments.find((segment) => segment.value >= 0)?.first ?? film.count);
    const first = Math.min(...firsts);
    if (first < film.count) { choose(firsts.indexOf(first)); jump(first); }
  }
  follow();
}
