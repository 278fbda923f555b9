import { type FileHandle, open } from 'node:fs/promises'

/**
 * Lines that are on the disk, whole, when their append resolves. A disk that becomes full takes a part of what is written;
 * that part is removed again. Where it cannot be removed, the next append begins a line of its own, so that it spoils no
 * other line.
 */

/** Opens a file for `appendLines`. It is created where it is missing, readable by its owner alone. */
export function openLines(path: string): Promise<FileHandle> {
  return open(path, 'a+', 0o600)
}

/**
 * Appends lines, and rejects where they are not on the disk; a part of them may be there all the same. One append at a
 * time: a failed one cuts the file to the size at which it began.
 *
 * @param lines without their line breaks
 */
export async function appendLines(file: FileHandle, lines: readonly string[]): Promise<void> {
  const { size } = await file.stat()
  const start = (await endsALine(file, size)) ? '' : '\n'
  const text = Buffer.from(start + lines.map((line) => `${line}\n`).join(''))
  try {
    await writeAll(file, text)
    await file.datasync()
  } catch (error) {
    await file.truncate(size).catch(() => undefined)
    throw error
  }
}

async function writeAll(file: FileHandle, text: Buffer): Promise<void> {
  for (let at = 0; at < text.length; ) {
    const { bytesWritten } = await file.write(text, at, text.length - at)
    if (bytesWritten === 0) throw new Error('the disk takes no more bytes')
    at += bytesWritten
  }
}

const lineBreak = 0x0a

async function endsALine(file: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return true
  const { buffer, bytesRead } = await file.read(Buffer.alloc(1), 0, 1, size - 1)
  return bytesRead === 1 && buffer[0] === lineBreak
}
