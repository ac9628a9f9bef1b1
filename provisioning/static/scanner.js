// QR codes through the camera of the phone that shows this page, where its browser can read them.

const LOOK_MS = 150;

// Browsers give the camera only to https and localhost, and few can read codes.
export async function canScan() {
  if (!("BarcodeDetector" in globalThis) || !navigator.mediaDevices?.getUserMedia) return false;
  const formats = await globalThis.BarcodeDetector.getSupportedFormats().catch(() => []);
  return formats.includes("qr_code");
}

// {found: promise of the first code's text, "" after `stop`; rejected when there is no camera to look through, stop}.
export function scanCode(video) {
  let stopped = false;
  let stream = null;
  const stop = () => {
    stopped = true;
    for (const track of stream?.getTracks() ?? []) track.stop();
    video.srcObject = null;
  };
  const look = async () => {
    const detector = new globalThis.BarcodeDetector({ formats: ["qr_code"] });
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
    if (stopped) {
      stop();
      return "";
    }
    video.srcObject = stream;
    await video.play();
    while (!stopped) {
      const [code] = await detector.detect(video).catch(() => []);
      if (code?.rawValue) return code.rawValue;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return "";
  };
  return { found: look().finally(stop), stop };
}
