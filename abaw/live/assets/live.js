{
  const { classes, ownCamera, server } = JSON.parse(document.getElementById('settings').textContent);
  const element = (id) => document.getElementById(id);
  const picture = element('picture'), pen = picture.getContext('2d');
  const video = element('video'), record = element('record'), cameraButton = element('camera');
  const bars = [...element('bars').children];
  const token = new URLSearchParams(location.search).get('token');
  const SECONDS = 30, LONG_SIDE = 640;

  let socket = null, stream = null, shot = null, sent = false;
  let chosen = null, people = [], recording = null;
  let history = []; // {at, people: [[number, class index]]}
  const arrivals = [], latencies = [];

  const say = (text, alarm = false) => {
    element('state').textContent = text;
    element('state').className = alarm ? 'alarm' : 'soft';
  };
  const colour = (index) => getComputedStyle(document.documentElement).getPropertyValue(`--class-${index}`).trim();
  const colours = classes.map((_, index) => colour(index));
  const ink = () => getComputedStyle(document.body).color;

  bars.forEach((bar, index) => { bar.querySelector('.track i').style.background = colours[index]; });

  const connect = () => {
    socket = new WebSocket(`${server}/live?token=${encodeURIComponent(token)}`);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => { record.disabled = false; if (ownCamera) next(); };
    socket.onclose = () => {
      record.disabled = true;
      sent = false;
      say('abaw live has ended. Start it again and open the new address.', true);
    };
    socket.onmessage = (message) => hear(JSON.parse(message.data));
  };

  const hear = (news) => {
    if (news.error) { say(news.error, true); sent = false; next(); return; }
    if ('recording' in news) {
      recording = news.recording;
      record.textContent = recording ? 'stop recording' : 'record results';
      record.classList.toggle('recording', Boolean(recording));
      return;
    }
    if (news.jpeg) {
      const image = new Image();
      image.onload = () => { shot = image; draw(news); };
      image.src = `data:image/jpeg;base64,${news.jpeg}`;
      return;
    }
    sent = false;
    draw(news);
    next();
  };

  const draw = (result) => {
    const now = performance.now();
    people = result.people;
    if (!people.some((one) => one.person === chosen)) chosen = people.length ? people[0].person : null;
    count(arrivals, now, now);
    count(latencies, now, result.clock_ms === undefined ? result.latency_ms : now - result.clock_ms);
    history.push({ at: now, people: people.map((one) => [one.person, classes.indexOf(one.label)]) });
    history = history.filter((entry) => now - entry.at <= SECONDS * 1000);
    showPicture();
    showBars();
    showTimeline(now);
    element('rate').textContent = arrivals.length > 1 ? `${(arrivals.length / 3).toFixed(0)} per second` : '–';
    const middle = latencies.map((pair) => pair[1]).sort((a, b) => a - b);
    element('latency').textContent = middle.length
      ? `${middle[middle.length >> 1].toFixed(0)} ms, 95 %: ${middle[Math.floor(0.95 * (middle.length - 1))].toFixed(0)} ms` : '–';
    document.documentElement.dataset.frames = String(Number(document.documentElement.dataset.frames || 0) + 1);
  };

  const count = (list, now, value) => {
    list.push([now, value]);
    while (list.length && now - list[0][0] > 3000) list.shift();
  };

  const showPicture = () => {
    if (!shot) return;
    if (picture.width !== shot.width || picture.height !== shot.height) {
      picture.width = shot.width;
      picture.height = shot.height;
    }
    pen.drawImage(shot, 0, 0, picture.width, picture.height);
    const unit = picture.width / Math.max(1, picture.clientWidth); // pixels of the picture per pixel on the screen
    pen.font = `${13 * unit}px system-ui, sans-serif`;
    for (const one of people) {
      const [x1, y1, x2, y2] = one.box_xyxy;
      const index = classes.indexOf(one.label);
      pen.strokeStyle = colours[index];
      pen.lineWidth = (one.person === chosen ? 4 : 2) * unit;
      pen.strokeRect(x1, y1, x2 - x1, y2 - y1);
      const text = `${one.person}: ${one.label} ${Math.round(100 * one.probabilities[one.label])} %`;
      const width = pen.measureText(text).width + 8 * unit;
      const left = Math.max(0, Math.min(x1, picture.width - width));
      const top = y1 > 19 * unit ? y1 - 19 * unit : y2;
      pen.fillStyle = colours[index];
      pen.fillRect(left, top, width, 19 * unit);
      pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(`--on-class-${index}`).trim();
      pen.fillText(text, left + 4 * unit, top + 14 * unit);
    }
  };

  const showBars = () => {
    const one = people.find((each) => each.person === chosen);
    element('who').textContent = one ? `Person ${one.person}: ${one.label}` : 'Nobody in the picture';
    bars.forEach((bar, index) => {
      const value = one ? one.probabilities[classes[index]] : 0;
      bar.querySelector('.track i').style.width = `${100 * value}%`;
      bar.querySelector('output').textContent = one ? `${Math.round(100 * value)} %` : '–';
      bar.classList.toggle('best', Boolean(one) && one.label === classes[index]);
    });
  };

  const showTimeline = (now) => {
    const board = element('timeline'), dense = window.devicePixelRatio || 1;
    const numbers = [...new Set(history.flatMap((entry) => entry.people.map((pair) => pair[0])))].sort((a, b) => a - b);
    const rows = numbers.slice(-6), height = 26;
    const width = board.clientWidth, tall = Math.max(1, rows.length) * height + 18;
    if (board.width !== Math.round(width * dense) || board.height !== Math.round(tall * dense)) {
      board.width = Math.round(width * dense);
      board.height = Math.round(tall * dense);
      board.style.height = `${tall}px`;
    }
    const brush = board.getContext('2d');
    brush.setTransform(dense, 0, 0, dense, 0, 0);
    brush.clearRect(0, 0, width, tall);
    const left = 26, scale = (width - left) / SECONDS;
    const place = (at) => width - (now - at) / 1000 * scale;
    for (let index = 0; index < history.length; index++) {
      const entry = history[index];
      const end = index + 1 < history.length ? Math.min(place(history[index + 1].at), place(entry.at) + scale) : width;
      for (const [number, label] of entry.people) {
        const row = rows.indexOf(number);
        if (row < 0) continue;
        brush.fillStyle = colours[label];
        brush.fillRect(Math.max(left, place(entry.at)), row * height, Math.max(1, end - place(entry.at)), height - 6);
      }
    }
    brush.fillStyle = ink();
    brush.font = '12px system-ui, sans-serif';
    rows.forEach((number, row) => brush.fillText(String(number), 2, row * height + 15));
    for (let second = 0; second <= SECONDS; second += 10) {
      brush.textAlign = second === 0 ? 'right' : 'left';
      brush.fillText(second === 0 ? 'now' : `−${second} s`, second === 0 ? width : width - second * scale, tall - 3);
    }
    brush.textAlign = 'left';
  };

  picture.addEventListener('click', (event) => {
    const area = picture.getBoundingClientRect();
    const x = (event.clientX - area.left) * picture.width / area.width;
    const y = (event.clientY - area.top) * picture.height / area.height;
    const hit = people.find(({ box_xyxy: [x1, y1, x2, y2] }) => x >= x1 && x <= x2 && y >= y1 && y <= y2);
    if (hit) { chosen = hit.person; showPicture(); showBars(); }
  });

  record.addEventListener('click', () => socket.send(recording ? 'stop' : 'record'));

  // One picture at a time is under way: a slow machine shows fewer pictures, never old ones.
  const next = () => {
    if (!stream || sent || !socket || socket.readyState !== WebSocket.OPEN) return;
    sent = true;
    const ask = video.requestVideoFrameCallback ? (then) => video.requestVideoFrameCallback(then)
      : (then) => requestAnimationFrame(then);
    ask(() => send());
  };

  const send = async () => {
    if (!stream) { sent = false; return; }
    const clock = performance.now();
    const scale = Math.min(1, LONG_SIDE / Math.max(video.videoWidth, video.videoHeight));
    const canvas = new OffscreenCanvas(Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale));
    canvas.getContext('2d').drawImage(video, 0, 0, canvas.width, canvas.height);
    const blob = await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.85 });
    shot = canvas;
    const data = new Uint8Array(8 + blob.size);
    new DataView(data.buffer).setFloat64(0, clock, true);
    data.set(new Uint8Array(await blob.arrayBuffer()), 8);
    if (socket.readyState === WebSocket.OPEN) socket.send(data);
  };

  if (cameraButton) {
    cameraButton.addEventListener('click', async () => {
      if (stream) {
        for (const track of stream.getTracks()) track.stop();
        stream = null;
        cameraButton.textContent = 'start camera';
        say('The camera is off.');
        return;
      }
      try {
        stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 } }, audio: false });
      } catch (error) {
        say(`The camera cannot be used (${error.name}). Allow it for this page, and close other programs that use it.`, true);
        return;
      }
      video.srcObject = stream;
      await video.play();
      cameraButton.textContent = 'stop camera';
      say('Pictures are analysed on this machine and kept nowhere.');
      next();
    });
  }
  connect();
}
