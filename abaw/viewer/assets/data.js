/* The data of the page: the video and its people. Frames count from 0 in the scripts and from 1 on the page. */

const unpack = (text, Kind) => new Kind(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);

/** Segments of equal values: first frame, frame after the last, value. */
function segmentsOf(values) {
  const found = [];
  for (let first = 0, frame = 1; frame <= values.length; frame++) {
    if (frame < values.length && values[frame] === values[first]) continue;
    found.push({ first, end: frame, value: values[first] });
    first = frame;
  }
  return found;
}

class PersonTimeline {
  constructor(raw, numClasses) {
    this.name = raw.name;
    this.title = raw.title;
    this.number = raw.number;
    this.numClasses = numClasses;
    this.boxes = unpack(raw.box, Float32Array);
    this.crops = unpack(raw.crop, Float32Array);
    this.landmarks = raw.landmarks === null ? null : unpack(raw.landmarks, Float32Array);
    this.affect = raw.affect === null ? null : unpack(raw.affect, Float32Array);
    this.probs = unpack(raw.probs, Uint16Array);
    this.labels = unpack(raw.labels, Int8Array);
    this.annotated = raw.annotated === null ? null : unpack(raw.annotated, Int8Array);
    this.wrong = this.labels.map((label, frame) => (this.isWrong(frame) ? 1 : 0));
    this.segments = segmentsOf(this.labels);
    this.annotatedSegments = this.annotated ? segmentsOf(this.annotated) : [];
    this.wrongSegments = segmentsOf(this.wrong).filter((segment) => segment.value);
    this.film = { frames: raw.film.frames, image: null };
    if (raw.film.image) {
      this.film.image = new Image();
      this.film.image.src = raw.film.image;
    }
  }

  hasFace(frame) { return this.labels[frame] >= 0; }

  isWrong(frame) {
    return this.annotated !== null && this.hasFace(frame) && this.annotated[frame] >= 0
      && this.annotated[frame] !== this.labels[frame];
  }

  /** x1, y1, x2, y2 in pixels of the picture. */
  box(frame) { return this.boxes.subarray(4 * frame, 4 * frame + 4); }

  /** a, b, x, y: the aligned crop is at (a·X − b·Y + x, b·X + a·Y + y). */
  crop(frame) { return this.crops.subarray(4 * frame, 4 * frame + 4); }

  /** Five points x, y in pixels of the picture. */
  points(frame) { return this.landmarks.subarray(10 * frame, 10 * frame + 10); }

  probability(frame, index) { return this.probs[frame * this.numClasses + index] / 65535; }

  /** Index in the filmstrip of the face nearest to a frame. */
  nearestFilm(frame) {
    let best = 0;
    this.film.frames.forEach((number, place) => {
      if (Math.abs(number - 1 - frame) < Math.abs(this.film.frames[best] - 1 - frame)) best = place;
    });
    return best;
  }
}

class Film {
  constructor(raw) {
    this.name = raw.name;
    this.classes = raw.classes;
    this.size = raw.size;
    this.still = raw.still;
    this.link = raw.link;
    this.source = raw.source;
    this.filmSide = raw.filmSide;
    this.times = unpack(raw.times, Float64Array);
    this.end = raw.end;
    this.count = this.times.length;
    this.people = raw.people.map((person) => new PersonTimeline(person, raw.classes.length));
  }

  /** The people with a face on a frame whose box contains a place of the picture, the smallest box first. */
  peopleAt(frame, x, y) {
    const area = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);
    return this.people.filter((person) => {
      if (!person.hasFace(frame)) return false;
      const [x1, y1, x2, y2] = person.box(frame);
      return x >= x1 && x <= x2 && y >= y1 && y <= y2;
    }).sort((one, other) => area(one.box(frame)) - area(other.box(frame)));
  }

  endOf(frame) { return frame + 1 < this.count ? this.times[frame + 1] : this.end; }

  clamp(frame) { return Math.max(0, Math.min(this.count - 1, frame)); }

  /** The frame that is shown at a time. */
  frameAt(time) {
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.times[middle] <= time + 5e-4) low = middle; else high = middle - 1;
    }
    return low;
  }

  /** The frame with the nearest time stamp. */
  nearest(time) {
    const frame = this.frameAt(time);
    const next = Math.min(frame + 1, this.count - 1);
    return Math.abs(this.times[next] - time) < Math.abs(this.times[frame] - time) ? next : frame;
  }
}

/** 0:04.96, 1:02:03.00 */
function clock(seconds) {
  const hundredths = Math.round(100 * seconds);
  const two = (value) => String(value).padStart(2, '0');
  const [hours, minutes, rest] = [Math.floor(hundredths / 360000), Math.floor(hundredths / 6000) % 60, hundredths % 6000];
  const tail = `${two(Math.floor(rest / 100))}.${two(rest % 100)}`;
  return hours ? `${hours}:${two(minutes)}:${tail}` : `${minutes}:${tail}`;
}

/** The current value of a style sheet colour, which depends on the theme. */
function colour(name) {
  colour.probe ??= document.body.appendChild(Object.assign(document.createElement('i'), { hidden: true }));
  colour.probe.style.color = `var(${name})`;
  return getComputedStyle(colour.probe).color;
}
