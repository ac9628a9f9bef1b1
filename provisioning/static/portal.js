// What every page does: sign out, and a switch of language that keeps what stands behind the #.

import { call } from "./api.js";

document.getElementById("sign-out")?.addEventListener("click", async () => {
  await call("/api/auth/logout", {}).catch(() => null); // nobody is signed in: just as well
  location.assign("/login");
});

for (const link of document.querySelectorAll(".languages a")) {
  link.addEventListener("click", () => {
    link.hash = location.hash;
  });
}
