use super::*;

fn pool(threads: usize) -> &'static Pool {
    let pool = Box::leak(Box::new(Pool::new()));
    pool.threads.store(threads, Ordering::Relaxed);
    pool
}

/// How often each part is done.
fn times(pool: &'static Pool, parts: usize) -> Vec<usize> {
    let times: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
    pool.run(parts, &|part| {
        times[part].fetch_add(1, Ordering::Relaxed);
    });
    times.into_iter().map(AtomicUsize::into_inner).collect()
}

#[test]
fn every_part_is_done_once() {
    for threads in [1, 2, 3, 7] {
        let pool = pool(threads);
        for parts in [0, 1, 2, 3, 8, 100] {
            assert_eq!(times(pool, parts), vec![1; parts], "{threads} threads");
        }
        assert!(pool.helpers.lock().unwrap().len() < threads);
    }
}

/// A helper would miss work, or do a part of the work before; with gaps that let it fall asleep in between.
#[test]
fn a_hundred_thousand_times() {
    let pool = pool(3);
    let sum = AtomicUsize::new(0);
    for i in 0..100_000 {
        pool.run(3, &|part| {
            sum.fetch_add(part + i, Ordering::Relaxed);
        });
        assert_eq!(sum.swap(0, Ordering::Relaxed), 3 + 3 * i);
        if i % 1000 == 0 {
            thread::sleep(3 * WATCH);
        }
    }
}

/// Helpers do take part: otherwise parts that wait for one another never end. Each takes its own, every time.
#[test]
fn parts_run_at_the_same_time() {
    let pool = pool(3);
    let who = [const { Mutex::new(None) }; 3];
    for _ in 0..100 {
        let barrier = std::sync::Barrier::new(3);
        pool.run(3, &|part| {
            let thread = thread::current().id();
            let first = *who[part].lock().unwrap().get_or_insert(thread);
            barrier.wait();
            assert_eq!(first, thread, "part {part}");
        });
    }
    assert_eq!(who[0].lock().unwrap().unwrap(), thread::current().id());
}

/// Whoever is done with its own parts does those of the others: here all but the one that waits for them.
#[test]
fn parts_of_a_thread_that_is_late() {
    for late in [0, 7] {
        let pool = pool(2);
        for _ in 0..100 {
            let done = AtomicUsize::new(0);
            pool.run(8, &|part| {
                while part == late && done.load(Ordering::Relaxed) < 7 {
                    thread::yield_now();
                }
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
    }
}

#[test]
fn inside_of_a_part_and_from_several_threads() {
    let pool = pool(3);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    let sum = AtomicUsize::new(0);
                    pool.run(3, &|i| {
                        pool.run(5, &|j| {
                            sum.fetch_add(10 * i + j, Ordering::Relaxed);
                        });
                    });
                    assert_eq!(sum.into_inner(), 5 * 30 + 3 * 10);
                }
            });
        }
    });
}

#[test]
fn a_panic_arrives_when_all_parts_are_done() {
    let pool = pool(3);
    for i in 0..200 {
        let done = AtomicUsize::new(0);
        let result = catch_unwind(AssertUnwindSafe(|| {
            pool.run(6, &|part| {
                done.fetch_add(1, Ordering::Relaxed);
                assert!(part != i % 6, "part {part}");
            });
        }));
        let message = *result.unwrap_err().downcast::<String>().unwrap();
        assert_eq!(message, format!("part {}", i % 6));
        assert_eq!(done.into_inner(), 6);
        assert_eq!(times(pool, 9), [1; 9]);
    }
}

#[test]
fn fewer_and_more_threads() {
    let pool = pool(4);
    for threads in [4, 2, 1, 5, 3] {
        pool.threads.store(threads, Ordering::Relaxed);
        for _ in 0..1000 {
            assert_eq!(times(pool, 8), [1; 8]);
        }
    }
    assert_eq!(pool.helpers.lock().unwrap().len(), 4);
}

#[test]
#[ignore = "a measurement: cargo test --release -p plywood-core --lib handing_out -- --ignored --nocapture"]
fn handing_out() {
    let pool = pool(2);
    let until_both_run = |pause: Duration| {
        let mut times: Vec<u128> = (0..2000)
            .map(|_| {
                let began = Instant::now();
                while began.elapsed() < pause {
                    if pause > WATCH { thread::sleep(pause) } else { spin_loop() }
                }
                let (start, arrived) = (Instant::now(), AtomicUsize::new(0));
                pool.run(2, &|_| {
                    arrived.fetch_add(1, Ordering::Relaxed);
                    while arrived.load(Ordering::Relaxed) < 2 {
                        spin_loop();
                    }
                });
                start.elapsed().as_nanos()
            })
            .collect();
        times.sort_unstable();
        times[times.len() / 2]
    };
    println!("the helper watches: {} ns", until_both_run(Duration::from_micros(5)));
    println!("the helper sleeps: {} ns", until_both_run(3 * WATCH));
}

#[test]
fn lists_of_processors() {
    assert_eq!(["0", "0-1", "0,32", "0-3,8", "", "\n"].map(count), [1, 2, 2, 5, 0, 0]);
    assert!(cores() >= 1);
}

#[test]
fn no_threads_at_all_is_an_error() {
    for threads in [0, MOST + 1] {
        let message = set_num_threads(threads).unwrap_err().to_string();
        assert_eq!(message, format!("the number of threads is {threads}, but must be between 1 and 1024"));
    }
}
