// Where tiles go: pure geometry.

const WIDEST = 16 / 9;
const NARROWEST = 4 / 3; // a camera of a door sees people at its sides, too
const WIDEST_ALONE = 2; // the only tile may use more of the stage
const SMALL = 240; // pixels of height: from here the LOW layer,
const LARGE = 300; // from here HIGH again
const OWN_ASPECT = 4 / 3;
const OWN_SMALLEST = 120; // pixels of width: a face can be told
const OWN_LARGEST = 260;
const CROP = 1.5; // a picture may lose a third to fill its tile, no more

/** The largest equal tiles for `count` in a stage of so many pixels: {columns, width, height}. `aspect` is the picture's
 *  of a single tile. */
export function shape(count, stageWidth, stageHeight, gap, aspect = WIDEST) {
  const widest = count === 1 ? WIDEST_ALONE : WIDEST;
  const narrowest = count === 1 && aspect < 1 ? aspect : NARROWEST;
  let best = { columns: 1, width: 0, height: 0 };
  for (let columns = 1; columns <= Math.max(1, count); columns++) {
    const rows = Math.ceil(count / columns);
    const cellWidth = Math.max(0, (stageWidth - gap * (columns - 1)) / columns);
    const cellHeight = Math.max(0, (stageHeight - gap * (rows - 1)) / rows);
    const width = Math.floor(Math.min(cellWidth, cellHeight * widest));
    const height = Math.floor(Math.min(cellHeight, width / narrowest));
    if (width * height > best.width * best.height) best = { columns, width, height };
  }
  return best;
}

/** Sizes of a stage with `screens` large ones over a row of `others`: {screen, tile}, each {width, height}. */
export function presentation(screens, others, stageWidth, stageHeight, gap) {
  if (!others) return { screen: shape(screens, stageWidth, stageHeight, gap), tile: { width: 0, height: 0 } };
  const rowHeight = Math.min(Math.max(72, stageHeight * 0.2), 180, stageHeight / 3);
  const width = Math.floor(Math.min(rowHeight * WIDEST, (stageWidth - gap * (others - 1)) / others));
  const tile = { width, height: Math.floor(width / WIDEST) };
  return { screen: shape(screens, stageWidth, stageHeight - tile.height - gap, gap), tile };
}

/** Where one's own picture floats beside the only other `tile` in the middle of the stage: {width, right, bottom} from the
 *  stage's edges, and `covered`, the width it takes of that tile: in the tile's corner, or below it where there is room. */
export function corner(stageWidth, stageHeight, tile, inset) {
  const share = stageWidth * (stageHeight > stageWidth ? 0.34 : 0.22);
  const width = Math.floor(Math.min(Math.max(OWN_SMALLEST, share), OWN_LARGEST, tile.width / 2));
  const beside = (stageWidth - tile.width) / 2;
  const below = (stageHeight - tile.height) / 2;
  const hasRoom = below >= width / OWN_ASPECT + 2 * inset;
  return { width, right: beside + inset, bottom: hasRoom ? inset : below + inset, covered: hasRoom ? 0 : width + inset };
}

/** "low" for a picture that is shown so small, in device pixels; `now` is what is received, so that a size between
 *  the two limits changes nothing. */
export function layerFor(height, now) {
  return height <= (now === "high" ? SMALL : LARGE - 1) ? "low" : "high";
}

/** "cover" fills the tile, "contain" shows all of a picture that would lose too much. */
export function fit(pictureAspect, tileAspect) {
  return Math.max(pictureAspect / tileAspect, tileAspect / pictureAspect) > CROP ? "contain" : "cover";
}
