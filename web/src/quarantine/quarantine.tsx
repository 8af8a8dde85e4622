export function QuarantineScreen() { return null; }
