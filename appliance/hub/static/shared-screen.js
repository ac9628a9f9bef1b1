// A tab, window or screen that this page shares, beside the camera. The browser asks what; whoever stops it there or
// closes the window has stopped it here.
//
// Events: "change" (it began or ended), "stopped" (not by this page).

const QUALITY = { video: { frameRate: { max: 15 } }, audio: true }; // text is to be read; the sound of a tab goes along

export class SharedScreen extends EventTarget {
  tracks = {}; // {video, audio?} while something is shared

  /** Browsers on phones, and pages that are not secure, share nothing. */
  static get isPossible() {
    return Boolean(navigator.mediaDevices?.getDisplayMedia);
  }

  get isShared() {
    return Boolean(this.tracks.video);
  }

  /** Asks what to share; false when the person thought better of it. Rejects with what else went wrong. */
  async start() {
    if (this.isShared) return true;
    let stream;
    try {
      stream = await navigator.mediaDevices.getDisplayMedia(QUALITY);
    } catch (error) {
      if (error.name === "NotAllowedError" || error.name === "AbortError") return false;
      throw error;
    }
    const [video] = stream.getVideoTracks();
    const [audio] = stream.getAudioTracks();
    video.contentHint = "detail";
    this.tracks = audio ? { video, audio } : { video };
    video.addEventListener("ended", () => {
      if (this.tracks.video !== video) return;
      this.stop();
      this.dispatchEvent(new Event("stopped"));
    });
    this.dispatchEvent(new Event("change"));
    return true;
  }

  stop() {
    if (!this.isShared) return;
    Object.values(this.tracks).forEach((track) => track.stop());
    this.tracks = {};
    this.dispatchEvent(new Event("change"));
  }

  /** The StreamInfo of what is shared, or null. */
  published() {
    const { video, audio } = this.tracks;
    if (!video) return null;
    const { width = 0, height = 0 } = video.getSettings();
    return { name: "screen", video: { width, height }, ...(audio ? { audio: {} } : {}) };
  }
}
