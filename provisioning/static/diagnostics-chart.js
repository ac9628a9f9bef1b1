// A chart of the last hour as lines in an SVG: values by their age, gaps where nothing was measured.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 720;
const HEIGHT = 160;
const EDGE = 8;

export const HOUR_S = 3600;

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// The path of points [age in s, value or null]; `gapS`: so far apart they are no longer one line.
function path(points, top, gapS) {
  let words = "";
  let lastAge = null;
  for (const [age, value] of points) {
    if (value === null || age > HOUR_S) {
      lastAge = null;
      continue;
    }
    const x = WIDTH * (1 - age / HOUR_S);
    const y = HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * Math.min(1, Math.max(0, value / top));
    const pen = lastAge !== null && lastAge - age <= gapS ? "L" : "M";
    words += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    if (pen === "M") words += `L${(x + 1).toFixed(1)} ${y.toFixed(1)}`; // a point alone is seen too
    lastAge = age;
  }
  return words;
}

// Draws `lines`, each a list of points; `top` is the value at the upper edge, `steps` how many rows it is ruled in.
export function draw(svg, lines, { top, steps = 4, gapS }) {
  const rules = Array.from({ length: steps - 1 }, (_, index) => {
    const y = EDGE + ((HEIGHT - 2 * EDGE) * (index + 1)) / steps;
    return shape("line", { x1: 0, x2: WIDTH, y1: y, y2: y });
  });
  const paths = lines.map((points, index) => shape("path", { d: path(points, top, gapS), class: index ? "second" : "first" }));
  svg.replaceChildren(...rules, ...paths);
}

// A round number at or above every value: 1, 2 or 5 times a power of ten.
export function roundTop(values, least) {
  const largest = Math.max(least, ...values.filter((value) => value !== null));
  const power = 10 ** Math.floor(Math.log10(largest));
  return [1, 2, 5, 10].map((factor) => factor * power).find((top) => top >= largest);
}
