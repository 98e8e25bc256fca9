// Keeps the page's files, so that it opens without a network. `files.js` names them, and changes
// when one of them does.

importScripts("files.js");

const STORE = `revox-${self.VERSION}`;

self.addEventListener("install", (event) => {
  const fill = async () => {
    const store = await caches.open(STORE);
    await store.addAll(self.FILES.map((file) => new Request(file, { cache: "reload" })));
    await self.skipWaiting();
  };
  event.waitUntil(fill());
});

self.addEventListener("activate", (event) => {
  const tidy = async () => {
    const names = await caches.keys();
    const old = names.filter((name) => name.startsWith("revox-") && name !== STORE);
    await Promise.all(old.map((name) => caches.delete(name)));
  };
  event.waitUntil(tidy());
});

self.addEventListener("fetch", (event) => {
  const kept = async () => {
    const store = await caches.open(STORE);
    const found = await store.match(event.request, { ignoreSearch: true });
    return found ?? fetch(event.request);
  };
  if (event.request.method === "GET") event.respondWith(kept());
});
