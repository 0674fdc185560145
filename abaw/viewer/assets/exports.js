/* The segments of all people as text: a table, subtitles (WebVTT) and an ELAN document. Times are in seconds of the video. */

const exports = {
  csv(film) {
    const rows = allSegments(film).map((one) => (
      [one.person, one.label, one.start.toFixed(3), one.end.toFixed(3), one.first, one.last, one.probability.toFixed(4)].join(',')));
    return ['person,label,start_s,end_s,first_frame,last_frame,mean_probability', ...rows, ''].join('\n');
  },

  vtt(film) {
    const time = (seconds) => {
      const whole = Math.round(1000 * seconds);
      const two = (value) => String(value).padStart(2, '0');
      return `${two(Math.floor(whole / 3600000))}:${two(Math.floor(whole / 60000) % 60)}:${two(Math.floor(whole / 1000) % 60)}`
        + `.${String(whole % 1000).padStart(3, '0')}`;
    };
    const cues = allSegments(film).sort((one, other) => one.start - other.start).map((one) => (
      `${time(one.start)} --> ${time(one.end)}\n${film.people.length > 1 ? `person ${one.person}: ` : ''}${one.label}\n`));
    return ['WEBVTT\n', ...cues].join('\n');
  },

  eaf(film) {
    const safe = (text) => text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
    const segments = allSegments(film);
    const slots = segments.flatMap((one, index) => [
      `<TIME_SLOT TIME_SLOT_ID="ts${2 * index + 1}" TIME_VALUE="${Math.round(1000 * one.start)}"/>`,
      `<TIME_SLOT TIME_SLOT_ID="ts${2 * index + 2}" TIME_VALUE="${Math.round(1000 * one.end)}"/>`]);
    const tiers = film.people.map((person) => {
      const own = segments.map((one, index) => [one, index]).filter(([one]) => one.person === person.number);
      const marks = own.map(([one, index]) => `<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a${index + 1}" `
        + `TIME_SLOT_REF1="ts${2 * index + 1}" TIME_SLOT_REF2="ts${2 * index + 2}"><ANNOTATION_VALUE>${safe(one.label)}`
        + '</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>');
      return `<TIER LINGUISTIC_TYPE_REF="expression" TIER_ID="person ${person.number}">\n${marks.join('\n')}\n</TIER>`;
    });
    return '<?xml version="1.0" encoding="UTF-8"?>\n<ANNOTATION_DOCUMENT AUTHOR="abaw" '
      + `DATE="${new Date().toISOString()}" FORMAT="3.0" VERSION="3.0">\n`
      + `<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"><MEDIA_DESCRIPTOR MEDIA_URL="${safe(encodeURI(film.source))}" `
      + 'MIME_TYPE="video/mp4"/></HEADER>\n'
      + `<TIME_ORDER>\n${slots.join('\n')}\n</TIME_ORDER>\n${tiers.join('\n')}\n`
      + '<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="expression" TIME_ALIGNABLE="true" GRAPHIC_REFERENCES="false"/>\n'
      + '</ANNOTATION_DOCUMENT>\n';
  },
};

/** Frames count from 1. */
function allSegments(film) {
  return film.people.flatMap((person) => person.segments.filter((segment) => segment.value >= 0).map((segment) => {
    let sum = 0;
    for (let frame = segment.first; frame < segment.end; frame++) sum += person.probability(frame, segment.value);
    return {
      person: person.number, label: film.classes[segment.value], start: film.times[segment.first],
      end: film.endOf(segment.end - 1), first: segment.first + 1, last: segment.end, probability: sum / (segment.end - segment.first),
    };
  }));
}
