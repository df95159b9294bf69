// Boots an RP2040 image in the emulator rp2040js, joins its UART0 to a TCP port on 127.0.0.1, and ends with the exit
// status of the firmware.
//
//     node bridge.mjs image.bin port [seconds]
//
// The image is what the linker made, as raw bytes from 0x1000_0000 on. It tells its verdict by semihosting; what it
// logs is written to the standard output. Status 124: no verdict within the time (20 s unless given); 125: wrong call,
// or no connection.

import { readFileSync, writeSync } from 'node:fs';
import { connect } from 'node:net';
import { ConsoleLogger, LogLevel, RP2040 } from 'rp2040js';

const TIME_LIMIT_STATUS = 124;
const USAGE_STATUS = 125;
const FLASH = 0x10000000;
const RAM = 0x20000000;
const VECTORS = 0x10000100; // Behind the second-stage boot loader, which a boot ROM would run first.
const NANOS_PER_CYCLE = 8; // 125 MHz
const SEV = 0xbf40;
const SLICE_INSTRUCTIONS = 20000;

const [image, port, seconds = '20'] = process.argv.slice(2);
if (!image || !Number(port) || !Number(seconds)) {
  fail('usage: node bridge.mjs image.bin port [seconds]');
}
const chip = new RP2040();
chip.logger = new ConsoleLogger(LogLevel.Error);
chip.onBreak = semihosting;
const received = []; // Bytes from the broker that the UART has not taken yet.
const socket = connect(Number(port), '127.0.0.1', start);
socket.setNoDelay(true);
socket.on('data', (bytes) => received.push(...bytes));
socket.on('error', (error) => fail(error.message));

function start() {
  joinUart(chip.uart[0]);
  boot(readFileSync(image));
  run(performance.now());
}

/** Does what boot ROM and boot loader do: the vector table says where to begin. */
function boot(bytes) {
  chip.flash.set(bytes);
  chip.core.VTOR = VECTORS;
  chip.core.SP = chip.readUint32(VECTORS);
  chip.core.PC = chip.readUint32(VECTORS + 4) & ~1;
}

/** The UART of the emulator differs from the chip's in two ways that embassy-rp does not stand. */
function joinUart(uart) {
  uart.onByte = (byte) => {
    socket.write(Uint8Array.of(byte));
    // A pulse for each byte: the interrupt tells that the FIFO has become empty, not that it is.
    uart.interruptStatus |= 1 << 5;
    uart.checkInterrupts();
  };
  uart.checkInterrupts = () => {
    chip.setInterrupt(uart.irq, !!(uart.interruptStatus & uart.interruptMask));
  };
  // UARTIFLS and UARTDMACR are plain registers; unknown ones read as all ones, which means: DMA is in use.
  const plain = new Map([[0x34, 0x12], [0x48, 0]]);
  const { readUint32, writeUint32 } = uart;
  uart.readUint32 = (offset) => plain.get(offset) ?? readUint32.call(uart, offset);
  uart.writeUint32 = (offset, value) =>
    plain.has(offset) ? plain.set(offset, value) : writeUint32.call(uart, offset, value);
}

/** Runs a slice, then lets the socket have its turn. The chip's clock never runs ahead of the real one. */
function run(begin) {
  const elapsed = performance.now() - begin;
  if (elapsed > Number(seconds) * 1000) {
    fail('no verdict in time', TIME_LIMIT_STATUS);
  }
  for (let i = 0; i < SLICE_INSTRUCTIONS && !chip.core.waiting; i++) {
    step();
  }
  feed(chip.uart[0]);
  if (chip.core.waiting) {
    const behind = elapsed * 1e6 - chip.clock.nanos;
    chip.clock.tick(Math.max(0, Math.min(behind, chip.clock.nanosToNextAlarm)));
  }
  if (chip.core.waiting) {
    setTimeout(run, 1, begin);
  } else {
    setImmediate(run, begin);
  }
}

/** One instruction. SEV does nothing in the emulator, and embassy's executor would sleep on. */
function step() {
  if (chip.readUint16(chip.core.PC & ~1) === SEV) {
    chip.core.eventRegistered = true;
  }
  chip.clock.tick(chip.core.executeInstruction() * NANOS_PER_CYCLE);
}

function feed(uart) {
  while (received.length > 0 && !uart.rxFIFO.full) {
    uart.feedByte(received.shift());
  }
}

/** Answers the calls that are needed for a log and an exit status: SYS_OPEN, SYS_WRITE, SYS_EXIT_EXTENDED. */
function semihosting(code) {
  const { registers } = chip.core;
  const [call, block] = registers;
  const word = (index) => chip.readUint32(block + 4 * index);
  if (code === 0xab && call === 0x01) {
    registers[0] = 1;
  } else if (code === 0xab && call === 0x05) {
    writeSync(1, memory(word(1), word(2)));
    registers[0] = 0;
  } else if (code === 0xab && call === 0x20) {
    process.exit(word(1));
  } else {
    fail(`breakpoint ${code}, call ${call}`);
  }
}

function memory(address, length) {
  const [bytes, start] = address < RAM ? [chip.flash, address - FLASH] : [chip.sram, address - RAM];
  return bytes.subarray(start, start + length);
}

function fail(text, status = USAGE_STATUS) {
  console.error(text);
  process.exit(status);
}
