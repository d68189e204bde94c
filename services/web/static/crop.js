// Cutting a face out of a picture. A box is its left, top, width and height, as fractions of the upright picture.

const MARGIN = 0.4;
const edges = ([left, top, width, height]) => ({ left, top, right: left + width, bottom: top + height });

// Return the part of the picture to send: the face with some margin, as far as no other face comes into it.
export function cut(face, others) {
  const [, , width, height] = face;
  const own = edges(face);
  const part = {
    left: Math.max(0, own.left - MARGIN * width),
    top: Math.max(0, own.top - MARGIN * height),
    right: Math.min(1, own.right + MARGIN * width),
    bottom: Math.min(1, own.bottom + MARGIN * height),
  };
  for (const other of others.map(edges)) {
    const meets = other.left < part.right && other.right > part.left && other.top < part.bottom && other.bottom > part.top;
    if (!meets) continue;
    const ways = [
      { side: "left", to: other.right, room: own.left - other.right },
      { side: "right", to: other.left, room: other.left - own.right },
      { side: "top", to: other.bottom, room: own.top - other.bottom },
      { side: "bottom", to: other.top, room: other.top - own.bottom },
    ].filter((way) => way.room >= 0);
    if (ways.length) {
      const best = ways.reduce((a, b) => (b.room > a.room ? b : a));
      part[best.side] = best.to;
    } else {
      Object.assign(part, own);
    }
  }
  return part;
}
