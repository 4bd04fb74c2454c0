"""What each language's runtime asks of the kernel beyond the ordinary works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from http_api import Api

pytestmark = pytest.mark.docker

# Each names the interfaces, resolves a name, answers itself over TCP, starts a thread
# and a process. The last line is all that counts.
PROGRAMS = {
    "bash": """
getent hosts localhost >/dev/null && ls /sys/class/net && coproc cat
echo through >&"${COPROC[1]}" && read -r line <&"${COPROC[0]}"
sync; timeout 5 true && echo "done $line"
""",
    "c": r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
static sem_t *sem;
static void *post(void *unused) { sem_post(sem); return unused; }
int main(void) {
    struct ifaddrs *all;
    struct addrinfo *found;
    pthread_t thread;
    pid_t pid;
    char *argv[] = {"true", NULL};
    if (getifaddrs(&all) || getaddrinfo("localhost", "80", NULL, &found)) return 1;
    sem = sem_open("/s", 0100, 0600, 0);
    if (sem == SEM_FAILED || pthread_create(&thread, NULL, post, NULL)) return 2;
    sem_wait(sem);
    if (posix_spawnp(&pid, "true", NULL, NULL, argv, NULL)) return 3;
    if (wait(NULL) != pid) return 3;
    if (shm_open("/x", 0102, 0600) < 0 || memfd_create("m", 0) < 0) return 4;
    sync();
    puts("done through");
}
""",
    "cpp": r"""
#include <future>
#include <iostream>
#include <thread>
#include <filesystem>
int main() {
    auto said = std::async(std::launch::async, [] { return std::string("through"); });
    std::jthread thread([] { std::filesystem::copy("/etc/hosts", "/tmp/hosts"); });
    thread.join();
    if (std::system("true")) return 1;
    std::cout << "done " << said.get() << std::endl;
}
""",
    "go": """
package main
import ("fmt"; "net"; "os/exec"; "io")
func main() {
    faces, err := net.Interfaces()
    if err != nil || len(faces) != 1 { panic(fmt.Sprint(faces, err)) }
    server, err := net.Listen("tcp", "localhost:0")
    if err != nil { panic(err) }
    go func() { c, _ := server.Accept(); c.Write([]byte("through")); c.Close() }()
    client, err := net.Dial("tcp", server.Addr().String())
    if err != nil { panic(err) }
    said, _ := io.ReadAll(client)
    if err := exec.Command("true").Run(); err != nil { panic(err) }
    fmt.Println("done", string(said))
}
""",
    "java": """
import java.net.*;
import java.nio.file.*;
public class Main {
    public static void main(String[] args) throws Exception {
        if (NetworkInterface.networkInterfaces().count() != 1) throw new Error();
        var server = new ServerSocket(0, 1, InetAddress.getByName("localhost"));
        Thread.ofVirtual().start(() -> {
            try (var c = server.accept()) {
                c.getOutputStream().write("through".getBytes());
            }
            catch (Exception e) { e.printStackTrace(); }
        });
        var client = new Socket("localhost", server.getLocalPort());
        var said = new String(client.getInputStream().readAllBytes());
        if (new ProcessBuilder("true").start().waitFor() != 0) throw new Error();
        FileSystems.getDefault().newWatchService().close();
        System.out.println("done " + said);
    }
}
""",
    "javascript": """
const { execFileSync } = require("child_process");
const { Worker } = require("worker_threads");
if (Object.keys(require("os").networkInterfaces()).length !== 1) throw new Error();
const server = require("net").createServer((c) => c.end("through"));
server.listen(0, "localhost", () => {
    const client = require("net").connect(server.address().port, "localhost");
    client.on("data", (said) => {
        execFileSync("true");
        require("fs").watch("/tmp").close();
        new Worker("0", { eval: true }).on("exit", () => {
            console.log("done " + said);
            process.exit();
        });
    });
});
""",
    "python": """
import asyncio, multiprocessing, os, socket, subprocess, threading
assert socket.if_nameindex() == [(1, "lo")]
async def talk():
    async def answer(_, writer):
        writer.write(b"through")
        writer.close()
    server = await asyncio.start_server(answer, "localhost", 0)
    port = server.sockets[0].getsockname()[1]
    reader, _ = await asyncio.open_connection("localhost", port)
    process = await asyncio.create_subprocess_exec("true")
    assert await process.wait() == 0
    return (await reader.read()).decode()
with multiprocessing.Pool(2) as pool:
    assert pool.map(abs, [-1, -2]) == [1, 2]
os.sync()
print("done", asyncio.run(talk()))
""",
    "ruby": """
require "socket"
raise unless Socket.getifaddrs.map(&:name).uniq == ["lo"]
server = TCPServer.new("localhost", 0)
Thread.new { c = server.accept; c.write("through"); c.close }
said = TCPSocket.new("localhost", server.addr[1]).read
raise unless system("true")
puts "done #{said}"
""",
}


@pytest.mark.parametrize("language", PROGRAMS)
def test_a_runtime_finds_what_it_needs(api: Api, language: str) -> None:
    result = api.run(language, PROGRAMS[language])
    assert result.outcome == "success", (result, result.stderr, result.compiled)
    assert result.text.splitlines()[-1] == "done through"
