// One end of a benched call in a page: the same picture codes and bursts as sources.py, on the clock of the bench.
"use strict";

const WIDTH = 1280, HEIGHT = 720, FPS = 30;
const COLUMNS = 20, ROW_PARTS = 20, MODULO_MS = 1 << 20;
const BLOCK = 480, RATE = 48000, BURST_BLOCKS = 4, PERIOD_MS = 500, LOUD = 4000 / 32768;

const bench = { frames: [], sounds: [], firstFrame: 0, firstSound: 0, offset: 0, connections: [], running: true };
window.bench = bench;
const now = () => performance.now() + bench.offset; // CLOCK_MONOTONIC, in ms

// --- the frame code of hw/frame_code.py

function crc8(value) {
    let crc = 0xff;
    for (const byte of [value >> 16, (value >> 8) & 0xff, value & 0xff]) {
        crc ^= byte;
        for (let bit = 0; bit < 8; bit++) crc = crc & 0x80 ? ((crc << 1) ^ 0x107) & 0xff : crc << 1;
    }
    return crc;
}

function rowsOf(value) {
    const bits = [];
    for (let bit = 23; bit >= 0; bit--) bits.push((value >> bit) & 1);
    const crc = crc8(value);
    for (let bit = 7; bit >= 0; bit--) bits.push((crc >> bit) & 1);
    return [[1, 0, 1, 0, ...bits.slice(0, 16)], [0, 1, 0, 1, ...bits.slice(16)]];
}

function drawCode(luma, value) {
    const rows = rowsOf(value);
    for (let row = 0; row < 2; row++) {
        const top = Math.floor((HEIGHT * (ROW_PARTS - 2 + row)) / ROW_PARTS);
        const end = Math.floor((HEIGHT * (ROW_PARTS - 1 + row)) / ROW_PARTS);
        for (let column = 0; column < COLUMNS; column++) {
            const level = rows[row][column] ? 235 : 16;
            const x = Math.ceil((column * WIDTH) / COLUMNS), right = Math.ceil(((column + 1) * WIDTH) / COLUMNS);
            for (let y = top; y < end; y++) luma.fill(level, y * WIDTH + x, y * WIDTH + right);
        }
    }
}

function readCode(strip, stride, width, height, top) {
    // `strip` begins at line `top` of a picture of `height` lines.
    const means = [];
    for (let row = 0; row < 2; row++) {
        for (let column = 0; column < COLUMNS; column++) {
            const y0 = Math.floor((height * (ROW_PARTS - 2 + row + 0.25)) / ROW_PARTS) - top;
            const y1 = Math.floor((height * (ROW_PARTS - 2 + row + 0.75)) / ROW_PARTS) - top;
            const x0 = Math.floor((width * (column + 0.25)) / COLUMNS);
            const x1 = Math.max(x0 + 1, Math.floor((width * (column + 0.75)) / COLUMNS));
            let sum = 0, count = 0;
            for (let y = y0; y < Math.max(y0 + 1, y1); y++)
                for (let x = x0; x < x1; x++, count++) sum += strip[y * stride + x];
            means.push(sum / count);
        }
    }
    const sync = [1, 0, 1, 0];
    let white = 0, black = 0;
    for (let i = 0; i < 4; i++) {
        white += (sync[i] ? means[i] : means[20 + i]) / 4;
        black += (sync[i] ? means[20 + i] : means[i]) / 4;
    }
    if (white - black < 48) return null;
    const bits = means.map((mean) => (mean > (white + black) / 2 ? 1 : 0));
    const payload = [...bits.slice(4, 20), ...bits.slice(24, 40)];
    let value = 0, crc = 0;
    for (const bit of payload.slice(0, 24)) value = (value << 1) | bit;
    for (const bit of payload.slice(24)) crc = (crc << 1) | bit;
    return crc === crc8(value) ? value : null;
}

// --- sources

function pictures() {
    // A textured background that pans under noise, as sources.MovingPictures.
    const tile = new Uint8Array(WIDTH * 2 * HEIGHT), noise = new Uint8Array(WIDTH * 2 * HEIGHT);
    let seed = 7;
    const random = () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff;
    const coarse = Array.from({ length: (HEIGHT / 16) * (WIDTH / 8) }, () => 40 + Math.floor(random() * 176));
    for (let y = 0; y < HEIGHT; y++)
        for (let x = 0; x < WIDTH * 2; x++) {
            tile[y * WIDTH * 2 + x] = coarse[Math.floor(y / 16) * (WIDTH / 8) + Math.floor(x / 16)];
            noise[y * WIDTH * 2 + x] = random() * 9;
        }
    const ready = []; // panned and noisy, so that a picture costs a copy
    for (let count = 0; count < 40; count++) {
        const picture = new Uint8Array((WIDTH * HEIGHT * 3) / 2).fill(128);
        const shift = (count * 4) % WIDTH, grain = (count * 211) % WIDTH;
        for (let y = 0; y < HEIGHT; y++)
            for (let x = 0; x < WIDTH; x++)
                picture[y * WIDTH + x] = tile[y * WIDTH * 2 + x + shift] + noise[y * WIDTH * 2 + x + grain];
        ready.push(picture);
    }
    let count = 0;
    return () => ready[count++ % ready.length].slice();
}

async function paced(periodMs, tick) {
    let due = Math.ceil(now() / periodMs) * periodMs;
    while (bench.running) {
        await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - now())));
        tick(due);
        due += periodMs;
    }
}

function syntheticTracks() {
    const video = new MediaStreamTrackGenerator({ kind: "video" }), audio = new MediaStreamTrackGenerator({ kind: "audio" });
    const videoOut = video.writable.getWriter(), audioOut = audio.writable.getWriter();
    const next = pictures();
    paced(1000 / FPS, (due) => {
        const data = next();
        drawCode(data, Math.floor(due) % MODULO_MS);
        videoOut.write(new VideoFrame(data, {
            format: "I420", codedWidth: WIDTH, codedHeight: HEIGHT, timestamp: Math.round(due * 1000),
        }));
    });
    paced(10, (due) => {
        const data = new Float32Array(BLOCK);
        if (Math.round(due / 10) % (PERIOD_MS / 10) < BURST_BLOCKS)
            for (let i = 0; i < BLOCK; i++) data[i] = (12000 / 32768) * Math.sin((2 * Math.PI * 4000 * i) / RATE);
        audioOut.write(new AudioData({
            format: "f32-planar", sampleRate: RATE, numberOfFrames: BLOCK, numberOfChannels: 1,
            timestamp: Math.round(due * 1000), data,
        }));
    });
    return [audio, video];
}

bench.start = async (devices) => {
    bench.tracks = devices
        ? (await navigator.mediaDevices.getUserMedia({
              audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
              video: { width: WIDTH, height: HEIGHT, frameRate: FPS },
          })).getTracks()
        : syntheticTracks();
};

// --- sinks

async function watch(track) {
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    const strip = new Uint8Array(1 << 21);
    for (;;) {
        const { done, value: frame } = await reader.read();
        if (done) return;
        const at = now();
        bench.firstFrame ||= at;
        const { width, height } = frame.visibleRect;
        const top = Math.floor((height * 17.9) / ROW_PARTS) & ~1;
        let code = null;
        try {
            const [plane] = await frame.copyTo(strip, { rect: { x: 0, y: top, width, height: height - top } });
            code = readCode(strip.subarray(plane.offset), plane.stride, width, height, top);
        } catch { /* a format without a luma plane */ }
        frame.close();
        bench.frames.push([at, code === null ? null : (Math.floor(at) - code + MODULO_MS) % MODULO_MS]);
    }
}

async function listen(track) {
    const player = new Audio();
    player.srcObject = new MediaStream([track]);
    await player.play();
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    let deafUntil = 0;
    for (;;) {
        const { done, value: data } = await reader.read();
        if (done) return;
        const at = now();
        bench.firstSound ||= at;
        const samples = new Float32Array(data.numberOfFrames);
        data.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
        const rate = data.sampleRate;
        data.close();
        if (at < deafUntil) continue;
        const loud = samples.findIndex((sample) => Math.abs(sample) > LOUD);
        if (loud < 0) continue;
        bench.sounds.push(((at + (loud / rate) * 1000) % PERIOD_MS) + 10);
        deafUntil = at + PERIOD_MS / 2;
    }
}

bench.show = false;
function onTrack({ track }) {
    if (bench.plain) {
        const element = document.createElement(track.kind);
        element.srcObject = new MediaStream([track]);
        element.autoplay = true;
        document.body.append(element);
        element.requestVideoFrameCallback?.(() => (bench.firstFrame ||= now()));
    } else if (track.kind === "video") watch(track);
    else listen(track);
}

// --- calls

async function gathered(pc) {
    while (pc.iceGatheringState !== "complete")
        await new Promise((resolve) => pc.addEventListener("icegatheringstatechange", resolve, { once: true }));
    return pc.localDescription.sdp;
}

function connection() {
    const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    pc.ontrack = onTrack;
    bench.connections.push(pc);
    return pc;
}

bench.offer = async () => {
    const pc = (bench.sending = connection());
    for (const track of bench.tracks) {
        const { sender } = pc.addTransceiver(track, { direction: "sendonly" });
        if (!bench.plain) continue;
        // Else it goes down to 480x270 on this very machine: a call in 720p30 is what is measured, of both.
        await sender.setParameters({ ...sender.getParameters(), degradationPreference: "maintain-framerate-and-resolution" });
    }
    await pc.setLocalDescription();
    return gathered(pc);
};

bench.answer = async (sdp) => {
    const pc = connection();
    await pc.setRemoteDescription({ type: "offer", sdp });
    await pc.setLocalDescription();
    return gathered(pc);
};

bench.accept = (sdp) => bench.sending.setRemoteDescription({ type: "answer", sdp });

bench.connected = async () => {
    const pc = bench.connections.at(-1);
    while (pc.connectionState !== "connected") await new Promise((resolve) => setTimeout(resolve, 5));
};

bench.sentBytes = async () => {
    if (!bench.sending) return 0;
    let total = 0;
    for (const each of (await bench.sending.getStats()).values())
        if (each.type === "outbound-rtp") total += each.bytesSent + each.headerBytesSent;
    return total;
};

bench.take = () => {
    const taken = { frames: bench.frames, sounds: bench.sounds };
    bench.frames = [];
    bench.sounds = [];
    return taken;
};
