/** A chart as a file: what the canvas shows, on the colour behind it, below a line that says what it is. */
const TITLE_PX = 13;
const MARGIN_PX = 12;

export async function pictureOf(canvas: HTMLCanvasElement, title: string): Promise<Blob> {
  const scale = devicePixelRatio;
  const top = (TITLE_PX + 2 * MARGIN_PX) * scale;
  const picture = document.createElement('canvas');
  picture.width = canvas.width + 2 * MARGIN_PX * scale;
  picture.height = canvas.height + top + MARGIN_PX * scale;
  const pen = picture.getContext('2d');
  if (pen === null) throw new Error('the browser has no canvas to draw on');
  const style = getComputedStyle(document.documentElement);
  pen.fillStyle = style.backgroundColor;
  pen.fillRect(0, 0, picture.width, picture.height);
  pen.fillStyle = style.color;
  pen.font = `${TITLE_PX * scale}px "Inter Variable", system-ui, sans-serif`;
  pen.textBaseline = 'top';
  pen.fillText(title, MARGIN_PX * scale, MARGIN_PX * scale, canvas.width);
  pen.drawImage(canvas, MARGIN_PX * scale, top);
  return new Promise((resolve, reject) => {
    picture.toBlob((blob) => {
      if (blob === null) reject(new Error('the browser could not make a picture'));
      else resolve(blob);
    }, 'image/png');
  });
}
