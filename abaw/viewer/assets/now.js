/* The current frame: box over the picture, aligned crop, class, probabilities. */

class Now {
  constructor(film, picture) {
    this.film = film;
    this.picture = picture;
    this.person = film.people[0];
    this.boxes = true;
    this.overlay = document.getElementById('overlay');
    this.face = document.getElementById('face');
    this.verdict = document.getElementById('verdict');
    this.annotated = document.getElementById('annotated');
    this.affect = document.getElementById('affect');
    this.bars = [...document.querySelectorAll('.bars li')];
  }

  show(frame, hasPicture) {
    this.drawBoxes(frame);
    this.drawFace(frame, hasPicture);
    const label = this.person.labels[frame];
    this.verdict.innerHTML = label < 0 ? '<span class="none">no face</span>' : this.spot(label);
    for (const [index, bar] of this.bars.entries()) {
      const value = label < 0 ? 0 : this.person.probability(frame, index);
      bar.querySelector('.fill').style.width = `${100 * value}%`;
      bar.querySelector('output').textContent = label < 0 ? '–' : `${Math.round(100 * value)} %`;
      bar.classList.toggle('top', index === label);
    }
    if (this.affect) {
      const values = label < 0 || !this.person.affect ? null : this.person.affect.subarray(2 * frame, 2 * frame + 2);
      const signed = (value) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(2)}`;
      this.affect.textContent = values ? `valence ${signed(values[0])}, arousal ${signed(values[1])}` : '';
    }
    this.sayAnnotated(frame);
  }

  sayAnnotated(frame) {
    if (!this.annotated) return;
    const label = this.person.annotated ? this.person.annotated[frame] : -1;
    this.annotated.classList.toggle('differs', this.person.isWrong(frame));
    this.annotated.innerHTML = label < 0 ? 'not annotated'
      : `annotated: ${this.spot(label)}${this.person.isWrong(frame) ? ' ≠' : ''}`;
  }

  spot(label) {
    return `<i class="swatch" style="background: var(--class-${label})"></i>${this.film.classes[label]}`;
  }

  /** A description for screen readers. */
  words(frame) {
    const label = this.person.labels[frame];
    const what = label < 0 ? 'no face'
      : `${this.film.classes[label]}, ${Math.round(100 * this.person.probability(frame, label))} percent`;
    return `frame ${frame + 1} of ${this.film.count}, ${clock(this.film.times[frame])}, ${what}`;
  }

  drawBoxes(frame) {
    const scale = devicePixelRatio || 1;
    const { clientWidth: wide, clientHeight: high } = this.overlay;
    this.overlay.width = Math.round(wide * scale);
    this.overlay.height = Math.round(high * scale);
    if (!this.boxes) return;
    const pen = this.overlay.getContext('2d');
    pen.scale(scale, scale);
    const ratio = wide / this.film.size[0];
    for (const person of this.film.people) {
      if (!person.hasFace(frame)) continue;
      const [x1, y1, x2, y2] = person.box(frame).map((value) => value * ratio);
      const own = person === this.person;
      for (const [width, shade] of [[own ? 5 : 3, 'rgb(0 0 0 / 55%)'],
                                   [own ? 3 : 1.5, own ? colour(`--class-${person.labels[frame]}`) : '#fff']]) {
        pen.lineWidth = width;
        pen.strokeStyle = shade;
        pen.beginPath();
        pen.roundRect(x1, y1, x2 - x1, y2 - y1, 8);
        pen.stroke();
      }
      if (own && person.landmarks) this.drawPoints(pen, person.points(frame), ratio);
      if (this.film.people.length > 1) this.drawName(pen, person, frame, [x1, y1, x2, y2], wide);
    }
  }

  drawPoints(pen, points, ratio) {
    pen.fillStyle = '#fff';
    pen.strokeStyle = 'rgb(0 0 0 / 55%)';
    pen.lineWidth = 1;
    for (let index = 0; index < 10; index += 2) {
      pen.beginPath();
      pen.arc(points[index] * ratio, points[index + 1] * ratio, 2.5, 0, 2 * Math.PI);
      pen.fill();
      pen.stroke();
    }
  }

  /** Number and class above a box, below it at the top of the picture. */
  drawName(pen, person, frame, [x1, y1, x2, y2], wide) {
    const label = person.labels[frame];
    pen.font = `${person === this.person ? 600 : 400} 12px system-ui, sans-serif`;
    pen.textBaseline = 'middle';
    const full = `${person.number} ${this.film.classes[label]}`;
    // In a small picture the names would cover each other.
    const text = person === this.person || pen.measureText(full).width < 1.5 * (x2 - x1) ? full : String(person.number);
    const width = pen.measureText(text).width + 10;
    const left = Math.max(0, Math.min(x1, wide - width));
    const top = y1 >= 20 ? y1 - 20 : y2 + 2;
    pen.fillStyle = colour(`--class-${label}`);
    pen.fillRect(left, top, width, 18);
    pen.fillStyle = colour(`--on-class-${label}`);
    pen.fillText(text, left + 5, top + 9.5);
  }

  /** The aligned crop that the model received, cut from the picture; without a picture, the nearest filmstrip face. */
  drawFace(frame, hasPicture) {
    const pen = this.face.getContext('2d');
    const side = this.face.width;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, side, side);
    const hasFace = this.person.hasFace(frame);
    this.face.setAttribute('aria-label', hasFace ? `face on ${this.words(frame)}` : 'no face');
    if (!hasFace) return;
    if (hasPicture) {
      const [a, b, x, y] = this.person.crop(frame).map((value) => value * side / 112);
      pen.setTransform(a, b, -b, a, x, y);
      pen.imageSmoothingQuality = 'high';
      pen.drawImage(this.picture, 0, 0, this.film.size[0], this.film.size[1]);
    } else if (this.person.film.image?.complete) {
      const from = this.film.filmSide;
      pen.drawImage(this.person.film.image, this.person.nearestFilm(frame) * from, 0, from, from, 0, 0, side, side);
    }
  }
}
