// A chart of the last minutes, an hour at most, as lines in an SVG: values by their age, gaps where nothing was measured.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 720;
const HEIGHT = 160;
const EDGE = 8;

const SPANS_S = [300, 900, 3600];
export const HOUR_S = SPANS_S.at(-1);

// How much of the hour is shown: as much as there is, in steps.
export const spanOf = (oldestS) => SPANS_S.find((span) => span >= oldestS) ?? HOUR_S;

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// The path of points [age in s, value or null]; `gapS`: so far apart they are no longer one line.
function path(points, top, gapS, spanS) {
  let words = "";
  let lastAge = null;
  for (const [age, value] of points) {
    if (value === null || age > spanS) {
      lastAge = null;
      continue;
    }
    const x = WIDTH * (1 - age / spanS);
    const y = HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * Math.min(1, Math.max(0, value / top));
    const pen = lastAge !== null && lastAge - age <= gapS ? "L" : "M";
    words += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    if (pen === "M") words += `L${(x + 1).toFixed(1)} ${y.toFixed(1)}`; // a point alone is seen too
    lastAge = age;
  }
  return words;
}

// Draws `lines`, each a list of points; `top` is the value at the upper edge, `steps` how many rows it is ruled in.
export function draw(svg, lines, { top, steps = 4, gapS, spanS }) {
  const rules = Array.from({ length: steps - 1 }, (_, index) => {
    const y = EDGE + ((HEIGHT - 2 * EDGE) * (index + 1)) / steps;
    return shape("line", { x1: 0, x2: WIDTH, y1: y, y2: y });
  });
  const paths = lines.map((points, index) => shape("path", { d: path(points, top, gapS, spanS), class: index ? "second" : "first" }));
  svg.replaceChildren(...rules, ...paths);
}

// A round number at or above every value: 1, 2 or 5 times a power of ten.
export function roundTop(values, least) {
  const largest = Math.max(least, ...values.filter((value) => value !== null));
  const power = 10 ** Math.floor(Math.log10(largest));
  return [1, 2, 5, 10].map((factor) => factor * power).find((top) => top >= largest);
}
