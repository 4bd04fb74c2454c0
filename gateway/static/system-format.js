// Times in words, and lists that change in place.

import { milliseconds } from "./format.js";

export function duration(seconds) {
  if (seconds < 1) return milliseconds(seconds * 1000);
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

// Makes the parent's children those of `items`, in their order. What has a node keeps it, so that nothing flickers
// and whoever reads or has the focus is not disturbed.
export function sync(parent, items, keyOf, create, update) {
  const known = new Map(Array.from(parent.children, (node) => [node.dataset.key, node]));
  items.forEach((item, index) => {
    const key = String(keyOf(item));
    let node = known.get(key);
    known.delete(key);
    if (!node) {
      node = create(item);
      node.dataset.key = key;
    }
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
    update(node, item);
  });
  for (const gone of known.values()) gone.remove();
}

// Sets what has changed, and only that.
export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
