/* Playback and seeking by frame. Calls `onFrame(frame)` whenever the current frame changes.

   Browsers seek by time, and count time either from the first frame or from its time stamp in the file. Therefore the
   first frame shown defines the start of the video, a seek aims at the middle of a frame, and the time stamp of the
   frame that is really shown (requestVideoFrameCallback) decides. Without a playable video, a clock replaces it. */

class Player {
  constructor(film, video, onFrame, onState) {
    this.film = film;
    this.video = video;
    this.onFrame = onFrame;
    this.onState = onState;
    this.frame = 0;
    this.speed = 1;
    this.start = null;
    this.wanted = null;
    this.sought = 0; // when the last seek began
    this.clockFrom = null;
    this.usable = false;
    if (video) this.listen();
  }

  listen() {
    const video = this.video;
    this.exact = 'requestVideoFrameCallback' in video;
    video.addEventListener('loadeddata', () => {
      this.usable = true;
      if (!this.exact) this.begin(0);
      else setTimeout(() => { if (this.start === null) this.begin(0); }, 700);
      this.onState();
    });
    video.addEventListener('seeked', () => this.seeked());
    for (const name of ['play', 'pause', 'ended']) video.addEventListener(name, () => this.onState());
    video.addEventListener('error', () => { this.usable = false; this.onState(); });
    if (this.exact) this.watch();
    else video.addEventListener('play', () => this.poll());
  }

  /** Follow every shown frame by its time stamp. */
  watch() {
    this.video.requestVideoFrameCallback((now, { mediaTime, presentationTime }) => {
      if (this.start === null) this.begin(mediaTime);
      else if (presentationTime >= this.sought) this.shown(this.film.nearest(mediaTime - this.start));
      this.watch();
    });
  }

  /** For browsers without requestVideoFrameCallback. */
  poll() {
    this.shown(this.film.frameAt(this.video.currentTime - this.start));
    if (!this.video.paused) requestAnimationFrame(() => this.poll());
  }

  begin(time) {
    this.start = time;
    if (this.wanted !== null) this.go(); else this.shown(this.frame);
  }

  shown(frame) {
    // A frame of an earlier seek. While the last seek has not begun (`late`), even a frame with its number is one.
    if (this.wanted !== null && (this.late || (this.video.seeking && frame !== this.wanted))) return;
    this.wanted = null;
    this.frame = frame;
    this.onFrame(frame);
  }

  get playing() { return this.usable ? !this.video.paused && !this.video.ended : this.clockFrom !== null; }

  seek(frame) {
    this.frame = this.film.clamp(frame);
    this.onFrame(this.frame);
    if (this.clockFrom !== null) this.clockFrom = performance.now() - 1000 * this.film.times[this.frame] / this.speed;
    if (!this.video) return;
    this.wanted = this.frame;
    if (this.start !== null) this.go();
  }

  go() {
    this.late = this.video.seeking;
    if (this.late) return;
    const middle = (this.film.times[this.wanted] + this.film.endOf(this.wanted)) / 2;
    this.sought = performance.now();
    this.video.currentTime = this.start + middle;
  }

  seeked() {
    if (this.late && this.wanted !== null) { this.late = false; this.go(); }
    else if (!this.exact) this.shown(this.wanted ?? this.frame);
  }

  step(by) { this.pause(); this.seek(this.frame + by); }

  toggle() { if (this.playing) this.pause(); else this.play(); }

  play() {
    if (this.film.count < 2) return;
    if (this.frame === this.film.count - 1) this.seek(0);
    if (this.usable) { this.video.play(); return; }
    this.clockFrom = performance.now() - 1000 * this.film.times[this.frame] / this.speed;
    this.onState();
    this.tick();
  }

  pause() {
    this.clockFrom = null;
    if (this.usable) this.video.pause(); else this.onState();
  }

  tick() {
    if (this.clockFrom === null) return;
    const time = (performance.now() - this.clockFrom) / 1000 * this.speed;
    const frame = this.film.frameAt(time);
    if (frame !== this.frame) { this.frame = frame; this.onFrame(frame); }
    if (time >= this.film.end) this.pause(); else requestAnimationFrame(() => this.tick());
  }

  setSpeed(speed) {
    if (this.clockFrom !== null) this.clockFrom = performance.now() - 1000 * this.film.times[this.frame] / speed;
    this.speed = speed;
    if (this.video) this.video.playbackRate = speed;
  }
}
