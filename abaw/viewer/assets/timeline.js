/* The timeline: faces, predicted and annotated classes as bands, one curve per class, and a cursor.

   It is a canvas because a video has many frames; the tables below contain the same data as text. */

class Timeline {
  constructor(root, film, onSeek, onChoose) {
    this.root = root;
    this.film = film;
    this.onSeek = onSeek;
    this.onChoose = onChoose;
    this.person = film.people[0];
    this.view = [0, film.end];
    this.frame = 0;
    root.innerHTML = `
      <div class="zoom"><button type="button" data-zoom="0.5" aria-label="zoom out">−</button>
      <button type="button" data-zoom="0" aria-label="show everything">all</button>
      <button type="button" data-zoom="2" aria-label="zoom in">+</button></div>
      <div class="rows" id="slider" role="slider" tabindex="0" aria-label="frame" aria-valuemin="1"
           aria-valuemax="${film.count}"><div class="labels" aria-hidden="true"></div>
        <div class="plot"><canvas></canvas><div class="cursor"></div><div class="hint" hidden></div></div></div>`;
    this.slider = root.querySelector('.rows');
    this.plot = root.querySelector('.plot');
    this.canvas = root.querySelector('canvas');
    this.pen = this.canvas.getContext('2d');
    this.cursor = root.querySelector('.cursor');
    this.hint = root.querySelector('.hint');
    for (const button of root.querySelectorAll('[data-zoom]')) {
      button.addEventListener('click', () => this.zoom(Number(button.dataset.zoom)));
    }
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.plot);
    document.addEventListener('themechange', () => this.draw());
    this.show(this.person);
  }

  /** Rows from top to bottom, for one person. */
  show(person) {
    this.person = person;
    const everybody = this.film.people.length < 2 ? [] : this.film.people.map((one, index) => (
      { kind: 'band', name: `person ${one.number}`, height: 20, segments: one.segments, who: index, own: one === person }));
    const bands = [{ kind: 'band', name: 'predicted', height: 28, segments: person.segments }];
    if (person.annotated) {
      bands.push({ kind: 'marks', name: 'mismatch', height: 12 });
      bands.push({ kind: 'band', name: 'annotated', height: 28, segments: person.annotatedSegments });
    }
    this.rows = [
      { kind: 'ruler', name: '', height: 22 },
      ...everybody,
      ...(person.film.image ? [{ kind: 'faces', name: 'faces', height: 52 }] : []),
      ...bands,
      ...this.film.classes.map((name, index) => ({ kind: 'curve', name, index, height: 36 })),
      ...(person.affect ? ['valence', 'arousal'].map((name, index) => ({ kind: 'level', name, index, height: 36 })) : []),
    ];
    let top = 0;
    for (const row of this.rows) { row.top = top; top += row.height + (row.kind === 'marks' ? 2 : 4); }
    this.height = top;
    const labels = this.rows.map((row) => {
      const spot = row.kind === 'curve' ? `<i class="swatch" style="background: var(--class-${row.index})"></i>` : '';
      return `<div style="top: ${row.top}px; height: ${row.height}px" class="${row.kind}${row.own ? ' own' : ''}${row.who === undefined ? '' : ' who'}">${spot}${row.name}</div>`;
    });
    this.root.querySelector('.labels').innerHTML = labels.join('');
    this.slider.style.height = `${this.height}px`;
    person.film.image?.decode().then(() => this.draw(), () => {});
    this.draw();
  }

  /** A colour of the style sheet, looked up once per drawing. */
  shade(name) {
    if (!this.shades.has(name)) this.shades.set(name, colour(name));
    return this.shades.get(name);
  }

  x(time) { return (time - this.view[0]) / (this.view[1] - this.view[0]) * this.width; }

  time(x) { return this.view[0] + x / this.width * (this.view[1] - this.view[0]); }

  draw() {
    const scale = devicePixelRatio || 1;
    this.shades = new Map();
    this.width = this.plot.clientWidth;
    if (!this.width) return;
    this.canvas.width = Math.round(this.width * scale);
    this.canvas.height = Math.round(this.height * scale);
    this.canvas.style.height = `${this.height}px`;
    this.pen.setTransform(scale, 0, 0, scale, 0, 0);
    this.pen.clearRect(0, 0, this.width, this.height);
    this.first = this.film.frameAt(this.view[0]);
    this.last = this.film.frameAt(this.view[1]);
    for (const row of this.rows) this[row.kind](row);
    this.place();
  }

  ruler(row) {
    const pen = this.pen;
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600];
    const span = this.view[1] - this.view[0];
    const step = steps.find((each) => each / span * this.width >= 64) ?? 7200;
    pen.fillStyle = this.shade('--soft');
    pen.strokeStyle = this.shade('--line');
    pen.font = '12px system-ui, sans-serif';
    pen.textBaseline = 'middle';
    for (let tick = Math.ceil(this.view[0] / step - 1e-9); tick * step <= this.view[1]; tick++) {
      const x = Math.round(this.x(tick * step)) + 0.5;
      pen.beginPath();
      pen.moveTo(x, row.top + 14);
      pen.lineTo(x, this.height);
      pen.stroke();
      const text = step < 1 ? clock(tick * step).slice(0, -1) : clock(tick * step).slice(0, -3);
      const width = pen.measureText(text).width;
      pen.textAlign = x < width / 2 ? 'left' : x > this.width - width / 2 ? 'right' : 'center';
      pen.fillText(text, x, row.top + 7);
    }
  }

  faces(row) {
    const side = row.height;
    const count = Math.max(1, Math.floor(this.width / (side + 3)));
    const { image } = this.person.film;
    if (!image.complete || !image.naturalWidth) return;
    for (let slot = 0; slot < count; slot++) {
      const middle = (slot + 0.5) * this.width / count;
      const frame = this.film.frameAt(this.time(middle));
      if (!this.person.hasFace(frame)) continue;
      const place = this.person.nearestFilm(frame) * this.film.filmSide;
      this.pen.save();
      this.pen.beginPath();
      this.pen.roundRect(middle - side / 2, row.top, side, side, 6);
      this.pen.clip();
      this.pen.drawImage(image, place, 0, this.film.filmSide, this.film.filmSide, middle - side / 2, row.top, side, side);
      this.pen.restore();
    }
  }

  band(row) {
    const pen = this.pen;
    pen.fillStyle = this.shade('--sunk');
    pen.fillRect(0, row.top, this.width, row.height);
    pen.font = '600 12px system-ui, sans-serif';
    pen.textBaseline = 'middle';
    pen.textAlign = 'left';
    for (const segment of row.segments) {
      if (segment.value < 0 || segment.end <= this.first || segment.first > this.last) continue;
      const left = Math.max(0, this.x(this.film.times[segment.first]));
      const right = Math.min(this.width, this.x(this.film.endOf(segment.end - 1)));
      pen.fillStyle = this.shade(`--class-${segment.value}`);
      pen.fillRect(left, row.top, Math.max(right - left - (right - left > 4 ? 1 : 0), 0.75), row.height);
      const name = this.film.classes[segment.value];
      if (pen.measureText(name).width + 12 > right - left) continue;
      pen.fillStyle = this.shade(`--on-class-${segment.value}`);
      pen.fillText(name, left + 6, row.top + row.height / 2 + 0.5);
    }
  }

  /** Hatched where prediction and annotation differ. */
  marks(row) {
    const pen = this.pen;
    pen.strokeStyle = pen.fillStyle = this.shade('--alarm');
    pen.lineWidth = 1.5;
    for (const segment of this.person.wrongSegments) {
      if (segment.end <= this.first || segment.first > this.last) continue;
      const left = Math.max(0, this.x(this.film.times[segment.first]));
      const width = Math.max(Math.min(this.width, this.x(this.film.endOf(segment.end - 1))) - left, 1);
      pen.save();
      pen.beginPath();
      pen.rect(left, row.top, width, row.height);
      pen.clip();
      pen.fillRect(left, row.top + row.height - 3, width, 3);
      pen.beginPath();
      for (let x = Math.floor(left / 6) * 6 - row.height; x < left + width; x += 6) {
        pen.moveTo(x, row.top + row.height);
        pen.lineTo(x + row.height, row.top);
      }
      pen.stroke();
      pen.restore();
    }
    pen.lineWidth = 1;
  }

  /** Mean probability of the frames under each pixel, with their maximum in a paler shade. */
  curve(row) {
    const pen = this.pen;
    const person = this.person;
    const base = row.top + row.height;
    pen.fillStyle = this.shade('--sunk');
    pen.fillRect(0, row.top, this.width, row.height);
    for (let x = 0, frame = this.first; x < this.width; x++) {
      const until = this.time(x + 1);
      let [sum, high, faces] = [0, 0, 0];
      for (let each = frame; ; each++) {
        if (person.hasFace(each)) {
          const value = person.probability(each, row.index);
          sum += value;
          high = Math.max(high, value);
          faces++;
        }
        frame = each;
        if (each >= this.last || this.film.endOf(each) > until) break;
      }
      if (!faces) continue;
      pen.fillStyle = this.shade(`--class-${row.index}`);
      pen.globalAlpha = 0.35;
      pen.fillRect(x, base - high * row.height, 1, high * row.height);
      pen.globalAlpha = 1;
      pen.fillRect(x, base - sum / faces * row.height, 1, sum / faces * row.height);
    }
  }

  /** A value from −1 to 1 as a line around the middle: the mean of the frames under each pixel. */
  level(row) {
    const pen = this.pen;
    const middle = row.top + row.height / 2;
    pen.fillStyle = this.shade('--sunk');
    pen.fillRect(0, row.top, this.width, row.height);
    pen.fillStyle = this.shade('--line');
    pen.fillRect(0, middle, this.width, 1);
    pen.fillStyle = this.shade('--accent');
    for (let x = 0, frame = this.first; x < this.width; x++) {
      const until = this.time(x + 1);
      let [sum, faces] = [0, 0];
      for (let each = frame; ; each++) {
        if (this.person.hasFace(each)) {
          sum += this.person.affect[2 * each + row.index];
          faces++;
        }
        frame = each;
        if (each >= this.last || this.film.endOf(each) > until) break;
      }
      if (!faces) continue;
      const high = sum / faces * (row.height / 2 - 1);
      pen.fillRect(x, Math.min(middle, middle - high), 1, Math.max(1, Math.abs(high)));
    }
  }

  /** Move the cursor to the start of the current frame. */
  place() {
    const x = this.x(this.film.times[this.frame]);
    const width = Math.max(2, this.x(this.film.endOf(this.frame)) - x);
    this.cursor.style.transform = `translateX(${x}px)`;
    this.cursor.style.width = `${width}px`;
    this.cursor.hidden = x < -1 || x > this.width;
  }

  at(frame, text) {
    this.frame = frame;
    const time = this.film.times[frame];
    const span = this.view[1] - this.view[0];
    if (time < this.view[0] || time >= this.view[1]) this.setView(time - span / 10, span);
    else this.place();
    this.slider.setAttribute('aria-valuenow', frame + 1);
    this.slider.setAttribute('aria-valuetext', text);
  }

  setView(from, span) {
    const wide = Math.min(Math.max(span, Math.min(0.5, this.film.end)), this.film.end);
    const start = Math.max(0, Math.min(from, this.film.end - wide));
    this.view = [start, start + wide];
    this.draw();
  }

  /** Zoom by a factor around a time (default: that of the cursor); factor 0 shows everything. */
  zoom(factor, around = this.film.times[this.frame]) {
    if (!factor) { this.setView(0, this.film.end); return; }
    const span = this.view[1] - this.view[0];
    const inside = around >= this.view[0] && around <= this.view[1] ? (around - this.view[0]) / span : 0.5;
    this.setView(around - inside * span / factor, span / factor);
  }

  listen() {
    const frameOf = (event) => {
      const x = event.clientX - this.plot.getBoundingClientRect().left;
      return this.film.clamp(this.film.frameAt(this.time(Math.max(0, Math.min(x, this.width)))));
    };
    this.plot.addEventListener('pointerdown', (event) => {
      if (event.button) return;
      this.plot.setPointerCapture(event.pointerId);
      const y = event.clientY - this.plot.getBoundingClientRect().top;
      const row = this.rows.find((each) => each.who !== undefined && y >= each.top && y < each.top + each.height);
      if (row && !row.own) this.onChoose(row.who);
      this.onSeek(frameOf(event));
    });
    this.plot.addEventListener('pointermove', (event) => {
      const frame = frameOf(event);
      if (event.buttons & 1) this.onSeek(frame);
      this.showHint(frame);
    });
    this.plot.addEventListener('pointerleave', () => { this.hint.hidden = true; });
    this.plot.addEventListener('wheel', (event) => {
      const span = this.view[1] - this.view[0];
      if (event.ctrlKey || event.metaKey) this.zoom(event.deltaY < 0 ? 1.25 : 0.8, this.film.times[frameOf(event)]);
      else if (event.deltaX && span < this.film.end) this.setView(this.view[0] + event.deltaX / this.width * span, span);
      else return;
      event.preventDefault();
    }, { passive: false });
  }

  /** Describe the frame under the pointer. */
  showHint(frame) {
    const label = this.person.labels[frame];
    const what = label < 0 ? 'no face'
      : `${this.film.classes[label]} ${Math.round(100 * this.person.probability(frame, label))} %`;
    const annotated = this.person.annotated && this.person.annotated[frame] >= 0
      ? `, annotated ${this.film.classes[this.person.annotated[frame]]}` : '';
    this.hint.textContent = `${clock(this.film.times[frame])} · ${what}${annotated}`;
    this.hint.hidden = false;
    const x = this.x(this.film.times[frame]);
    this.hint.style.left = `${Math.max(0, Math.min(x - this.hint.offsetWidth / 2, this.width - this.hint.offsetWidth))}px`;
  }
}
