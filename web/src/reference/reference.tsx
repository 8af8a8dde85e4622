export function Reference() { return null; }
